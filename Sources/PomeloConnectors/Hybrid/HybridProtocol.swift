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
    /// The answer to a request that nobody can be given.
    nonisolated static let failure = Bytes("{\"code\":500}".utf8)

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
    let badSignatures: LimitedLog
    let undecodable: LimitedLog
    let unencodable: LimitedLog
    private let logger: Logger
    private var watch: SchemaWatch?

    /// Of an answer without a user part, in bytes.
    var longestWelcome: Int { edition.longestWelcome }
    private let origins: OriginRules

    let limits: SharedLimits
    let servesBytes = true
    let path = ""

    /// - Throws: `PomeloError` `.configuration` when the dictionary has more than 65535 routes, schemas cannot be read,
    ///   both do not fit a package, or an origin is none.
    init(_ options: HybridOptions, clock: any LoopClock, logger: Logger) throws {
        origins = try OriginRules(
            options.origins, place: "origins of connector.json, or of the program's HybridOptions")
        badSignatures = LimitedLog(
            logger, clock, "a message is not signed by its client", lines: 1, per: .seconds(10))
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
        watch = SchemaWatch(files, used: stamp, clock, every: period) { [weak self] in self?.found($0) }
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

    // MARK: web pages and health checkers

    func refusal(of request: UpgradeRequest) -> HTTPResponse? {
        origins.allow(request) ? nil : HTTPResponse(status: 403)
    }

    /// `GET /` and `HEAD /` are what a load balancer asks; whoever wants a WebSocket says so.
    func plainAnswer(to request: UpgradeRequest) -> HTTPResponse? {
        guard request.path == "/" || request.path.hasPrefix("/?"), request.values("upgrade").isEmpty else { return nil }
        switch request.method {
        case "GET", "HEAD":
            return HTTPResponse(
                contentType: "text/plain; charset=UTF-8",
                headers: [UpgradeRequest.Header(name: "Cache-Control", value: "no-store")]
                    + origins.headers(for: request), body: Bytes("OK\n".utf8))
        case "OPTIONS":
            guard origins.allow(request) else { return HTTPResponse(status: 403) }
            var answer = origins.preflight(request, methods: Self.methods)
            answer.headers.append(UpgradeRequest.Header(name: "Allow", value: Self.methods))
            return answer
        default: return nil
        }
    }

    private static let methods = "GET, HEAD, OPTIONS"

    func serveWebSocket(of connection: StreamConnection, _ request: UpgradeRequest) -> (any StreamUser)? {
        HybridClient(self, connection)
    }
}
