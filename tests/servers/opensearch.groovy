// Start an OpenSearch node within this process; each argument is a setting, as name=value.
import org.opensearch.common.settings.Settings
import org.opensearch.node.InternalSettingsPreparer
import org.opensearch.node.Node
import org.opensearch.transport.Netty4Plugin

class LoopbackNode extends Node {
    LoopbackNode(environment) {
        super(environment, [Netty4Plugin], true)
    }
}

def settings = Settings.builder()
args.each { def (name, value) = it.split("=", 2); settings.put(name, value) }
def prepared = settings.build()
def environment = InternalSettingsPreparer.prepareEnvironment(prepared, [:], null, { "node" })
new LoopbackNode(environment).start()
Thread.currentThread().join()
