"""What a caller of dicomframe can catch."""


class DicomFrameError(Exception):
    """Every error that dicomframe raises by itself."""


class InvalidOptionError(DicomFrameError, ValueError):
    """An option has a value that it cannot have; the message lists the valid ones."""


class UnknownTagError(DicomFrameError, ValueError):
    """A requested tag is no DICOM attribute; the message names the closest ones."""


class UnknownEngineError(DicomFrameError, ValueError):
    """No installed distribution offers the engine; the message lists the offered ones."""


class EngineNotInstalledError(DicomFrameError, ImportError):
    """The engine's own packages are missing; the message holds the command to install them."""


class EngineConflictError(DicomFrameError):
    """Two installed distributions offer an engine of one name; the message names both."""


class BackendContractError(DicomFrameError, TypeError):
    """A plugin breaks the backend contract; the message names its distribution and version."""


class EngineStartError(DicomFrameError, RuntimeError):
    """An engine is installed and cannot start here; the message tells the ways out."""


class UnknownSinkError(DicomFrameError, ValueError):
    """No installed distribution offers the sink; the message lists the offered ones."""


class SinkNotInstalledError(DicomFrameError, ImportError):
    """The client of a sink is missing; the message holds the command to install it."""


class SinkConflictError(DicomFrameError):
    """Two installed distributions offer a sink of one name; the message names both."""


class SinkContractError(DicomFrameError, TypeError):
    """A plugin breaks the sink contract; the message names its distribution and version."""


class SinkError(DicomFrameError, RuntimeError):
    """A server cannot be reached or refuses, or its index, collection or table does not fit."""


class CatalogError(DicomFrameError, RuntimeError):
    """A catalogue cannot be written now, since another run does, or is not whole any more."""


class BulkDataError(DicomFrameError, OSError):
    """The bytes behind a BulkDataURI cannot be fetched whole."""
