// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
import PomeloCore
import PomeloJSON
import PomeloLoop
import PomeloWire

/// What the clients of one hybrid connector share: its options, the route dictionary, the answers made once.
@Loop final class HybridProtocol: PortProtocol {
    nonisolated static let type = "hybrid"
    /// The answer to a request that nobody can be given.
    nonisolated static let failure = Bytes("{\"code\":500}".utf8)

    let options: HybridOptions
    let codes: RouteCodes?
    let packets = PushFraming()
    private let frames = PushFramings()
    /// In nanoseconds; nil without heartbeats.
    let heartbeatTimeout: UInt64?
    /// Whether connections must note when something was read.
    let tracksActivity: Bool
    let failedHandshakes: LimitedLog
    let badSignatures: LimitedLog
    private let welcome: (withDictionary: Bytes, without: Bytes)

    /// Of an answer without a user part, in bytes.
    var longestWelcome: Int { welcome.withDictionary.count }
    private let origins: OriginRules

    let limits: SharedLimits
    let servesBytes = true
    let path = ""

    /// - Throws: `WireError` when the dictionary has more than 65535 routes or does not fit a package; `PomeloError`
    ///   `.configuration` for an origin that is none.
    init(_ options: HybridOptions, clock: any LoopClock, logger: Logger) throws {
        origins = try OriginRules(
            options.origins, place: "origins of connector.json, or of the program's HybridOptions")
        failedHandshakes = LimitedLog(logger, clock, "handshake refused by the application", level: .info)
        badSignatures = LimitedLog(
            logger, clock, "a message is not signed by its client", lines: 1, per: .seconds(10))
        self.options = options
        limits = SharedLimits(options.limits)
        heartbeatTimeout = options.heartbeatTimeout?.clampedNanoseconds
        tracksActivity = heartbeatTimeout == nil || options.resetOnData
        let codes: RouteCodes? =
            if let routes = options.dictionary {
                try RouteCodes(handlers: routes.handlers, extra: routes.extra)
            } else {
                nil
            }
        self.codes = codes
        let seconds = options.heartbeatSeconds
        welcome = (
            try HandshakeReply.success(
                heartbeatSeconds: seconds, dictionary: codes.map { ($0.dictionary, $0.version, true) }),
            try HandshakeReply.success(
                heartbeatSeconds: seconds, dictionary: codes.map { ($0.dictionary, $0.version, false) })
        )
    }

    /// The answer to a handshake that is accepted; without a user part it is the same bytes for all.
    ///
    /// - Throws: `WireError` for a user part that does not fit a package.
    func welcome(_ request: HandshakeRequest, user: JSON?) throws(WireError) -> Bytes {
        let knows = codes != nil && request.dictVersion.map { Text($0) } == codes.map { Text($0.version) }
        guard let user, user.isTruthy else { return knows ? welcome.without : welcome.withDictionary }
        return try HandshakeReply.success(
            heartbeatSeconds: options.heartbeatSeconds,
            dictionary: codes.map { ($0.dictionary, $0.version, !knows) }, user: user)
    }

    /// What becomes of a handshake: the answer, and the fault where the client is not let in.
    enum Verdict {
        case welcome(Bytes, key: ClientKey?)
        case refusal(Bytes, ConnectionFault)
    }

    /// Judges a handshake, and tells at once, unless the application has a hook.
    ///
    /// - Source: pomelo 2.2.7, lib/connectors/commands/handshake.js.
    func judge(_ body: Span<UInt8>, _ unsendable: LimitedLog, _ tell: @escaping @Loop (Verdict) -> Void) {
        guard let request = HandshakeRequest.decode(body) else {
            return tell(.refusal(HandshakeReply.badRequest, .handshakeRefused))
        }
        if let check = options.checkClient, !check(request.type, request.version) {
            return tell(.refusal(HandshakeReply.rejected, .clientRejected))
        }
        let key = options.useCrypto ? ClientKey(request.message["sys"]?["rsa"]) : nil
        if options.useCrypto, key == nil { return tell(.refusal(HandshakeReply.badRequest, .handshakeRefused)) }
        guard let hook = options.handshake else { return tell(verdict(request, user: nil, key, unsendable)) }
        Loop.spawn { [self] in
            do {
                tell(verdict(request, user: try await hook(request.message), key, unsendable))
            } catch {
                failedHandshakes.write(["error": "\(error)"])
                tell(.refusal(HandshakeReply.badRequest, .handshakeRefused))
            }
        }
    }

    private func verdict(
        _ request: HandshakeRequest, user: JSON?, _ key: ClientKey?, _ unsendable: LimitedLog
    ) -> Verdict {
        do throws(WireError) {
            return .welcome(try welcome(request, user: user), key: key)
        } catch {
            unsendable.write(["pomelo.message": "handshake answer", "error": "\(error)"])
            return .refusal(HandshakeReply.badRequest, .handshakeRefused)
        }
    }
    /// Frames are the same for all who have agreed on the same.
    func frames(_ compression: AgreedCompression?) -> PushFraming { frames[compression] }

    func stop() {}

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
