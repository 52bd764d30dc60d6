// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// What the clients of one hybrid connector share: its options, the route dictionary, the schemas of now.
@Loop final class HybridProtocol: PortProtocol {
    nonisolated static let type = "hybrid"
    /// Of what is to be said of schemas at once.
    private static let maxWarnings = 20

    let options: HybridOptions
    let codes: RouteCodes?
    /// What clients that come now are welcomed with.
    private(set) var edition: HybridEdition
    /// In nanoseconds; nil without heartbeats.
    let heartbeatTimeout: UInt64?
    /// Whether connections must note when something was read.
    let tracksActivity: Bool
    let failedHandshakes: LimitedLog
    let undecodable: LimitedLog
    let unencodable: LimitedLog
    private let logger: Logger
    private var watch: SchemaWatch?

    let limits: SharedLimits
    let servesBytes = true
    let path = ""

    /// - Throws: `PomeloError` `.configuration` when the dictionary has more than 65535 routes, schemas cannot be read,
    ///   or both do not fit a package.
    init(_ options: HybridOptions, clock: any LoopClock, logger: Logger) throws {
        failedHandshakes = LimitedLog(logger, clock, "handshake refused by the application", level: .info)
        undecodable = LimitedLog(logger, clock, "a message of a client does not fit its schema")
        unencodable = LimitedLog(
            logger, clock, "a message does not fit its schema, and goes out empty", level: .error)
        self.options = options
        self.logger = logger
        limits = SharedLimits(options.limits)
        heartbeatTimeout = options.heartbeatTimeout?.clampedNanoseconds
        tracksActivity = heartbeatTimeout == nil || options.resetOnData
        do throws(WireError) {
            codes = try options.dictionary.map { routes throws(WireError) in
                try RouteCodes(handlers: routes.handlers, extra: routes.extra)
            }
        } catch {
            throw PomeloError(.configuration, "the route dictionary is too large: \(error)", cause: error)
        }
        // Before they are read: what changes in between is seen at the next look.
        let files = Self.files(of: options.protobuf, options)
        let stamp = files?.stamp()
        let schemas = try options.protobuf.map { try Self.schemas(of: $0, options) }
        edition = try Self.edition(codes, schemas, options)
        warn(of: schemas)
        guard let files, let stamp, let period = options.protobufCheck else { return }
        watch = SchemaWatch(files, tried: stamp, clock, every: period) { [weak self] in self?.found($0) }
    }

    private static func files(of source: ProtobufSource?, _ options: HybridOptions) -> SchemaFiles? {
        guard case .files(let configuration) = source else { return nil }
        return SchemaFiles(configuration, maxBytes: options.maxProtobufFileBytes)
    }

    private static func schemas(of source: ProtobufSource, _ options: HybridOptions) throws -> MessageSchemas {
        switch source {
        case .files(let configuration):
            return try SchemaFiles(configuration, maxBytes: options.maxProtobufFileBytes).read()
        case .schemas(let server, let client):
            return try MessageSchemas(server: server, client: client)
        }
    }

    private static func edition(
        _ codes: RouteCodes?, _ schemas: MessageSchemas?, _ options: HybridOptions
    ) throws -> HybridEdition {
        do throws(WireError) {
            return try HybridEdition(codes, schemas, heartbeatSeconds: options.heartbeatSeconds)
        } catch {
            let what = schemas == nil ? "the route dictionary is" : "the route dictionary and the schemas are"
            throw PomeloError(.configuration, "\(what) too large: \(error)", cause: error)
        }
    }

    // MARK: schemas

    /// Takes other schemas for clients that come from now on.
    ///
    /// - Throws: `PomeloError` `.configuration`; then everything is as it was.
    func reload(_ source: ProtobufSource) throws { try take(try Self.schemas(of: source, options)) }

    private func found(_ outcome: Result<MessageSchemas, any Error>) {
        do {
            try take(try outcome.get())
        } catch {
            logger.error("the message schemas stay as they were", metadata: ["error": "\(error)"])
        }
    }

    private func take(_ schemas: MessageSchemas) throws {
        guard schemas.version != edition.schemas?.version else { return }
        edition = try Self.edition(codes, schemas, options)
        logger.info("new message schemas", metadata: ["pomelo.version": "\(schemas.version)"])
        warn(of: schemas)
    }

    private func warn(of schemas: MessageSchemas?) {
        let warnings = schemas?.warnings ?? []
        for text in warnings.prefix(Self.maxWarnings) { logger.warning("\(text)") }
        if warnings.count > Self.maxWarnings {
            logger.warning("\(warnings.count - Self.maxWarnings) more of the message schemas")
        }
    }

    func stop() { watch?.stop() }

    func serveBytes(of connection: StreamConnection) -> (any StreamUser)? {
        HybridClient(self, connection)
    }

    func serveWebSocket(of connection: StreamConnection, _ request: UpgradeRequest) -> (any StreamUser)? {
        HybridClient(self, connection)
    }
}
