// SPDX-License-Identifier: MIT
public import Logging
import PomeloBytes

extension Logger {
    /// This logger, with lines that nobody can forge: text from outside stays inside its line, whoever logs it.
    ///
    /// Names, routes, reasons and the texts of errors come from clients, peers and Redis. Control characters in
    /// messages and metadata are escaped; a message is cut at 2048 bytes, a value at 1024. `LOG_LEVEL` sets its level.
    public var lineSafe: Logger {
        var logger = self
        if handler is LineSafeHandler { return self }
        logger.handler = LineSafeHandler(base: handler)
        if let level = LogLevel.ofProcess { logger.logLevel = level }
        return logger
    }
}

private struct LineSafeHandler: LogHandler {
    var base: any LogHandler

    var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue.mapValues(Self.safe) }
    }

    var metadataProvider: Logger.MetadataProvider? {
        get { base.metadataProvider }
        set { base.metadataProvider = newValue }
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue.map(Self.safe) }
    }

    func log(event: LogEvent) {
        var event = event
        event.message = "\(event.message.description.escapedForLog(maxBytes: 2048))"
        event.metadata = event.metadata?.mapValues(Self.safe)
        base.log(event: event)
    }

    private static func safe(_ value: Logger.Metadata.Value) -> Logger.Metadata.Value {
        switch value {
        case .string(let text): .string(text.escapedForLog(maxBytes: 1024))
        case .stringConvertible(let value): .string("\(value)".escapedForLog(maxBytes: 1024))
        case .array(let values): .array(values.map(safe))
        case .dictionary(let values): .dictionary(values.mapValues(safe))
        }
    }
}
