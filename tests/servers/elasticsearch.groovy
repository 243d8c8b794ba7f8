// Start an Elasticsearch node within this process; each argument is a setting, as name=value.
import org.elasticsearch.common.logging.LogConfigurator
import org.elasticsearch.common.settings.Settings
import org.elasticsearch.node.InternalSettingsPreparer
import org.elasticsearch.node.Node
import org.elasticsearch.plugins.PluginsLoader

LogConfigurator.configureESLogging()
def settings = Settings.builder()
args.each { def (name, value) = it.split("=", 2); settings.put(name, value) }
def prepared = settings.build()
def environment = InternalSettingsPreparer.prepareEnvironment(prepared, [:], null, { "node" })
def modules = PluginsLoader.loadModulesBundles(environment.modulesDir())
def plugins = PluginsLoader.createPluginsLoader(modules, [] as Set, [:], false)
new Node(environment, plugins).start()
Thread.currentThread().join()
