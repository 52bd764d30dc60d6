// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop

/// Decides what becomes of each request: whose it is, whether it may pass, and where it goes.
///
/// Callers are plugins, known by a token or by their secret, or come from outside. What a caller says of itself in
/// headers counts for nothing.
@Loop final class PluginRouter {
    /// Calls that call on: a plugin asks the platform, which asks a plugin, and so on.
    static let maxDepth = 4
    /// Time of the question who calls from outside.
    private static let checkPatience = Duration.seconds(2)
    /// Time of what the platform does itself, its calls of plugins included.
    static let workPatience = Duration.seconds(60)

    let follower: PluginFollower
    let instances: Instances
    let caller: any PluginCaller
    let options: KeelOptions
    let desk: TokenDesk
    let clock: any LoopClock
    private let random: RandomSource
    private let cluster: String
    /// Serves the registry's and the cluster's own verbs.
    var serveRegistry: (@Loop @Sendable (PlatformCall) async throws(PluginAnswer) -> PluginAnswer)?
    var serveCluster: (@Loop @Sendable (PlatformCall) async throws(PluginAnswer) -> PluginAnswer)?
    /// What `/v1.0/metadata` tells beside the plugins.
    private let own: String

    init(
        _ follower: PluginFollower, _ instances: Instances, _ caller: any PluginCaller, _ options: KeelOptions,
        _ desk: TokenDesk, _ context: ServiceContext
    ) {
        self.follower = follower
        self.instances = instances
        self.caller = caller
        self.options = options
        self.desk = desk
        clock = context.clock
        random = context.random
        cluster = context.clusterName
        own = context.serverID.rawValue
    }

    /// What becomes of a request.
    func decide(_ head: PluginHead) async -> PluginDecision {
        do throws(PluginAnswer) {
            return try await decided(head)
        } catch {
            return .answer(error.response)
        }
    }

    private func decided(_ head: PluginHead) async throws(PluginAnswer) -> PluginDecision {
        let path = CallPath(head.path, appID: head.headers["dapr-app-id"], namespace: cluster)
        if path == .health { return .answer(PluginResponse(follower.isLoaded ? 204 : 500)) }
        let source = try await source(of: head)
        switch path {
        case .health, .probe: return .answer(PluginAnswer.ok().response)
        case .metadata: return .answer(metadata)
        case .unknown(let why): throw PluginAnswer(400, why)
        case .registry(let verb, let query): return work(verb, query, source, serveRegistry)
        case .cluster(let verb, let query): return work(verb, query, source, serveCluster)
        case .plugin(let id, let path):
            let user = try await user(of: source, head, who: id, what: path)
            let isDirect = !head.path.hasPrefix("/v1.0/invoke/keel/")
            return .forward(try await forward(head, source, user, to: id, path, isDirect: isDirect))
        case .point(let point, let path):
            guard case .plugin(let owner) = source.caller else {
                throw PluginAnswer(403, "points are a plugin's: this caller has shown no token of one")
            }
            return try await called(point, path, owner, head, source)
        }
    }

    private func work(
        _ verb: String, _ query: String, _ source: CallSource,
        _ serve: (@Loop @Sendable (PlatformCall) async throws(PluginAnswer) -> PluginAnswer)?
    ) -> PluginDecision {
        .work(limit: PluginIdentity.maxBytes, within: Self.workPatience) { request in
            let call = PlatformCall(verb: verb, query: query, source: source, request: request)
            do throws(PluginAnswer) {
                guard let serve else { throw PluginAnswer(404, "nothing is served at this path") }
                return try await serve(call).response
            } catch {
                return error.response
            }
        }
    }

    private var metadata: PluginResponse {
        let plugins = follower.view.records.keys.sorted().map { JSON.string($0.rawValue) }
        let body: JSON = [
            "id": .string(own), "runtimeVersion": "pomelo", "namespace": .string(cluster),
            "plugins": .array(plugins),
        ]
        return PluginResponse(200, headers: [PluginHeader("Content-Type", "application/json")], body: body.encoded())
    }

    // MARK: who calls

    private func source(of head: PluginHead) async throws(PluginAnswer) -> CallSource {
        let given = head.headers["dapr-api-token"]
        var plugin = given.flatMap(follower.view.owner(ofSecret:)).flatMap(follower.view.plugin)
        if plugin == nil, let needed = options.apiToken, !isSame(given ?? "", needed) {
            throw PluginAnswer(401, "dapr-api-token is missing or wrong")
        }
        if let token = head.headers["x-plugin-jwt"] {
            plugin = try await desk.plugin(of: Self.bearer(token) ?? token)
        }
        // One of a user's says nothing here: whoever checks callers from outside reads it.
        if plugin == nil, let token = head.headers["authorization"] {
            do { plugin = try await desk.plugin(of: Self.bearer(token) ?? token) } catch {}
        }
        var depth = 0
        if plugin != nil, let text = head.headers["x-keel-depth"] {
            guard let number = Int(text), (0...1000).contains(number) else {
                throw PluginAnswer(400, "x-keel-depth is no number")
            }
            depth = number
        }
        guard depth < Self.maxDepth else { throw PluginAnswer(508, "calls go round: depth \(depth)") }
        return CallSource(
            caller: plugin.map { .plugin($0) } ?? .outside, depth: depth, headers: head.headers)
    }

    /// A word behind `Bearer`.
    nonisolated static func bearer(_ value: String) -> String? {
        let word = "bearer "
        guard value.utf8.count > word.utf8.count, value.prefix(word.count).lowercased() == word else { return nil }
        return String(value.dropFirst(word.count)).trimmingSpaces
    }

    /// For whom a caller from outside calls, as the plugin that checks them says; nil: it does not, or nobody checks.
    ///
    /// It is told what is called as the router has understood it: one place has several paths.
    private func user(
        of source: CallSource, _ head: PluginHead, who id: PluginID, what path: String
    ) async throws(PluginAnswer) -> String? {
        guard case .outside = source.caller,
            let check = follower.view.implementers(of: "keel", PlatformOwner.routeCheck).first
        else { return nil }
        guard let record = follower.view.plugin(check.id) else { return nil }
        if PluginGate.refusal(record.status) != nil {
            throw PluginAnswer(503, "who calls from outside cannot be checked now")
        }
        var headers = await handedOn(head.headers)
        headers += [
            PluginHeader("x-keel", "True"), PluginHeader("x-keel-method", head.method),
            PluginHeader("x-keel-plugin", id.rawValue), PluginHeader("x-keel-path", path),
            PluginHeader("Content-Type", "application/json"),
        ]
        headers.removeAll { $0.name.lowercased() == "content-length" }
        let request = PluginRequest("POST", check.path, headers: headers, body: Bytes("{}".utf8))
        let response = try await call(record, request, within: Self.checkPatience, limit: PluginIdentity.maxBytes)
        let reply = try PluginReply(response, from: check.path)
        guard reply.ret == 0 else { throw PluginAnswer(401, reply.msg) }
        return reply.body["data"]?["user"]?.string
    }

    // MARK: where it goes

    /// A call of a plugin by the platform itself, counted as any other.
    func call(
        _ record: PluginRecord, _ request: PluginRequest, within deadline: Duration, limit: Int
    ) async throws(PluginAnswer) -> PluginResponse {
        let place = try choose(record)
        do throws(PluginCallError) {
            var request = request
            if let token = options.appToken { request.headers.append(PluginHeader("dapr-api-token", token)) }
            let response = try await caller.call(place.address, request, within: deadline, limit: limit)
            instances.ended(place, isGood: true)
            return response
        } catch {
            instances.ended(place, isGood: false)
            throw PluginAnswer(error == .timeout ? 504 : 502, "\(record.id): \(error.text)")
        }
    }

    func choose(_ record: PluginRecord) throws(PluginAnswer) -> Instances.Place {
        let addresses = follower.view.addresses(of: record, at: follower.now)
        guard let place = instances.choose(record.id, among: addresses) else {
            var answer = PluginAnswer(503, "no address of \(record.id) answers")
            answer.headers = [PluginHeader("Retry-After", "1")]
            throw answer
        }
        return place
    }

    func forward(
        _ head: PluginHead, _ source: CallSource, _ user: String?, to id: PluginID, _ path: String, isDirect: Bool
    ) async throws(PluginAnswer) -> PluginForward {
        let record = try admitted(id, source)
        let callerID = source.plugin?.id.rawValue
        let token = try await desk.delegation(to: id, caller: callerID, user: user)
        var headers = await handedOn(head.headers)
        headers += stamped(source, callerID, record, token)
        if let token = options.appToken { headers.append(PluginHeader("dapr-api-token", token)) }
        let deadline = try deadline(head)
        // Last, and nothing waits behind it: from here on it counts as under way.
        let place = try choose(record)
        let instances = instances
        return PluginForward(
            base: place.address, method: head.method, path: path, headers: headers, deadline: deadline,
            requestLimit: options.maxBodyBytes, responseLimit: options.maxBodyBytes, attempts: 3,
            finished: { instances.ended(place, isGood: $0.isGood) },
            failure: { Self.failure($0, id, isDirect: isDirect) })
    }

    /// The plugin, when its gate is open for that caller.
    private func admitted(_ id: PluginID, _ source: CallSource) throws(PluginAnswer) -> PluginRecord {
        guard let record = follower.view.records[id] else { throw PluginGate.refusal(nil) ?? PluginAnswer(404, "") }
        if let trial = record.trial {
            guard trial.until > follower.now else { throw PluginGate.refusal(nil) ?? PluginAnswer(404, "") }
            if let examiner = trial.examiner, source.plugin?.id == examiner { return record }
        }
        if let refusal = PluginGate.refusal(record.status) { throw refusal }
        return record
    }

    private func deadline(_ head: PluginHead) throws(PluginAnswer) -> Duration {
        guard let text = head.headers["x-keel-timeout-ms"] else { return options.callDeadline }
        guard let number = Int64(text), number > 0, number <= 1 << 40 else {
            throw PluginAnswer(400, "x-keel-timeout-ms is no number of milliseconds")
        }
        return min(.milliseconds(number), options.maxCallDeadline)
    }

    // MARK: headers

    /// What a caller says that is for the plugin: all but what the platform alone says, and what shows the platform who
    /// somebody is: who is called could call as the caller.
    ///
    /// What the caller says of its own connection is done here: later it would reach what the platform says.
    func handedOn(_ headers: [PluginHeader]) async -> [PluginHeader] {
        var kept: [PluginHeader] = []
        for header in HeaderRules.endToEnd(headers) {
            let name = header.name.lowercased()
            if Self.ours.contains(Text(name)) || Self.prefixes.contains(where: name.hasPrefix) { continue }
            if name == "authorization", await isCredential(header.value) { continue }
            kept.append(header)
        }
        return kept
    }

    /// Whether that is a token or a secret of the platform's, or of a plugin of its own.
    private func isCredential(_ value: String) async -> Bool {
        let word = (Self.bearer(value) ?? value).trimmingSpaces
        for secret in [word, BasicCredentials(value)?.secret].compactMap({ $0 }) {
            if follower.view.owner(ofSecret: secret) != nil { return true }
            if let bootstrap = options.bootstrap, isSame(bootstrap, secret) { return true }
        }
        do {
            _ = try await desk.plugin(of: word)
            return true
        } catch { return false }
    }

    private static let ours: Set<Text> = [
        "x-plugin-jwt", "x-tkeel-auth", "dapr-api-token", "dapr-app-id", "traceparent", "tracestate", "host",
    ]
    private static let prefixes = ["x-keel", "dapr-caller-", "dapr-callee-"]

    private func stamped(
        _ source: CallSource, _ callerID: String?, _ record: PluginRecord, _ token: String
    ) -> [PluginHeader] {
        var headers = [
            PluginHeader("x-plugin-jwt", "Bearer \(token)"), PluginHeader("x-keel-depth", "\(source.depth + 1)"),
            PluginHeader("dapr-callee-app-id", record.id.rawValue), PluginHeader("traceparent", trace(source)),
        ]
        if let callerID {
            headers += [
                PluginHeader("dapr-caller-app-id", callerID), PluginHeader("dapr-caller-namespace", cluster),
            ]
        }
        return headers
    }

    /// The trace of a plugin goes on; one from outside begins here (W3C Trace Context, 2021).
    private func trace(_ source: CallSource) -> String {
        let span = random.bytes(8).hexadecimal
        let parts = (source.plugin == nil ? nil : source.headers["traceparent"])?.split(separator: "-")
        if let parts, parts.count == 4, parts[0] == "00", parts[1].utf8.count == 32,
            parts[1].allSatisfy({ $0.isHexDigit }), parts[1].contains(where: { $0 != "0" })
        {
            return "00-\(parts[1].lowercased())-\(span)-01"
        }
        return "00-\(random.bytes(16).hexadecimal)-\(span)-01"
    }

    // MARK: failures

    /// - Source: dapr's error codes for invocations.
    private nonisolated static func failure(_ outcome: PluginOutcome, _ id: PluginID, isDirect: Bool) -> PluginResponse
    {
        var answer: PluginAnswer
        switch outcome {
        case .timedOut: answer = PluginAnswer(504, "\(id) has not answered in time")
        case .requestTooLarge: answer = PluginAnswer(413, "the body is too large")
        case .responseTooLarge: answer = PluginAnswer(502, "the answer of \(id) is too large")
        case .unreachable: answer = PluginAnswer(isDirect ? 500 : 502, "\(id) cannot be reached")
        case .broken, .abandoned, .answered: answer = PluginAnswer(isDirect ? 500 : 502, "\(id) broke off")
        }
        if isDirect {
            answer.fields = ["errorCode": "ERR_DIRECT_INVOKE", "message": .string(answer.msg)]
        }
        return answer.response
    }
}

extension PluginOutcome {
    /// Whether it speaks for the address; nil: it says nothing about it.
    fileprivate var isGood: Bool? {
        switch self {
        case .answered: true
        case .unreachable, .broken, .timedOut, .responseTooLarge: false
        case .requestTooLarge, .abandoned: nil
        }
    }
}
