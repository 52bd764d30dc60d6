// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCluster
import PomeloCore
import PomeloExtensions
import PomeloJSON
import PomeloLoop
import PomeloRedis
import PomeloTesting
import TestHelpers
import Testing

@testable import PomeloPlugins

/// A plugin without a socket.
@Loop final class FakePlugin {
    enum Mood { case well, hangs, away, breaks, garbage, huge }

    var mood = Mood.well
    var identity: JSON
    var status: JSON = ["ret": 0, "msg": "ok", "status": "ACTIVE"]
    /// Answers by path, without the query.
    var answers: [String: @Loop (PluginRequest) async -> PluginResponse] = [:]
    private(set) var requests: [PluginRequest] = []

    init(_ identity: JSON) { self.identity = identity }

    func answer(_ request: PluginRequest) async -> PluginResponse {
        requests.append(request)
        let path = String(request.path.prefix { $0 != "?" })
        if let answer = answers[path] { return await answer(request) }
        switch path {
        case "/v1/identify": return .json(identity)
        case "/v1/status": return .json(status)
        case "/v1/addons/identify": return .json(["ret": 0, "msg": "ok"])
        default: return .json(["ret": 0, "msg": "ok", "path": .string(request.path)])
        }
    }

    func requests(of path: String) -> [PluginRequest] { requests.filter { $0.path == path } }
}

extension PluginResponse {
    static func json(_ body: JSON, _ status: Int = 200) -> PluginResponse {
        PluginResponse(status, headers: [PluginHeader("Content-Type", "application/json")], body: body.encoded())
    }

    /// The body as JSON; null for what is none.
    var json: JSON {
        do { return try JSON.parse(body) } catch { return .null }
    }
}

/// All plugins, by their addresses.
@Loop final class FakePlugins: PluginCaller {
    private let clock: any LoopClock
    var byAddress: [String: FakePlugin] = [:]
    /// The number of the call that fails, from 1 on; 0: none.
    var failing = 0
    private(set) var calls = 0

    init(_ clock: any LoopClock) { self.clock = clock }

    func call(
        _ base: String, _ request: PluginRequest, within deadline: Duration, limit: Int
    ) async throws(PluginCallError) -> PluginResponse {
        calls += 1
        if calls == failing { throw .broken("as the test wants it") }
        guard let plugin = byAddress[base] else { throw .unreachable("nobody listens at \(base)") }
        switch plugin.mood {
        case .well: break
        case .away: throw .unreachable("refused")
        case .breaks: throw .broken("closed")
        case .garbage: throw .malformed("no HTTP")
        case .huge: throw .tooLarge
        case .hangs:
            await clock.sleep(for: deadline)
            throw .timeout
        }
        let response: PluginResponse?
        do { response = try await clock.within(deadline) { await plugin.answer(request) } } catch { response = nil }
        guard let response else { throw .timeout }
        guard response.body.count <= limit else { throw .tooLarge }
        return response
    }
}

/// Tokens that anybody can read and nobody signs: the claims as JSON behind the key's id.
@Loop final class FakeTokens: PluginTokens {
    private(set) var keys: [PluginKey] = []

    func use(_ keys: [PluginKey]) async { self.keys = keys }

    func sign(_ claims: PluginClaims) async throws -> String {
        guard let key = keys.last else { throw PluginTokenError.unsigned }
        let object: JSON = [
            "sub": .string(claims.subject), "aud": .string(claims.audience), "jti": .string(claims.id),
            "iat": .int(claims.issuedAt), "exp": .int(claims.expires),
            "reg": claims.registration.map { .string($0) } ?? .null,
            "caller": claims.caller.map { .string($0) } ?? .null, "user": claims.user.map { .string($0) } ?? .null,
            "scopes": .array(claims.scopes.map { .string($0) }),
        ]
        return key.id + "." + object.description
    }

    func verify(_ token: String, at seconds: Int64) async throws(PluginTokenError) -> PluginClaims {
        guard let claims = Self.read(token) else { throw .malformed("no token") }
        guard keys.contains(where: { token.hasPrefix($0.id + ".") }) else { throw .unsigned }
        guard claims.expires + 30 > seconds, claims.issuedAt - 30 < seconds else { throw .expired }
        return claims
    }

    static func read(_ token: String) -> PluginClaims? {
        let text = token.drop { $0 != "{" }
        let json: JSON
        do { json = try JSON.parse(Bytes(text.utf8)) } catch { return nil }
        guard let subject = json["sub"]?.string, let audience = json["aud"]?.string else { return nil }
        return PluginClaims(
            subject: subject, audience: audience, id: json["jti"]?.string ?? "", issuedAt: json["iat"]?.int ?? 0,
            expires: json["exp"]?.int ?? 0, registration: json["reg"]?.string,
            scopes: (json["scopes"]?.array ?? []).compactMap(\.string), caller: json["caller"]?.string,
            user: json["user"]?.string)
    }

    var publicKeys: JSON { ["keys": .array(keys.map { ["kid": .string($0.id)] })] }
}

extension PluginStore {
    /// The script of changes once more, in Swift; a test holds it to its original.
    static func teach(_ redis: FakeRedis) {
        redis.register(script: change) { (redis, keys, args) throws(RedisError) in
            let epoch = try redis(RedisCommand("GET", keys[1])).string ?? "0"
            if args[0] != "", args[0] != epoch { return .array([.integer(0), .text(epoch)]) }
            for index in stride(from: 1, to: args.count, by: 2) {
                if args[index + 1] == "" {
                    try redis(RedisCommand("HDEL", keys[0], args[index]))
                } else {
                    try redis(RedisCommand("HSET", keys[0], args[index], args[index + 1]))
                }
            }
            let time = try redis(RedisCommand("TIME")).strings ?? []
            let now = (Int(time[0]) ?? 0) * 1000 + (Int(time[1]) ?? 0) / 1000
            let next = "\(max((Int(epoch) ?? 0) + 1, now))"
            try redis(RedisCommand("SET", keys[1], next))
            try redis(RedisCommand("PUBLISH", keys[2], next))
            return .array([.integer(1), .text(next)])
        }
    }
}

/// Servers with hosts of plugins, in one process and on one clock.
@Loop final class PluginWorld {
    static let bootstrap = "bootstrap-secret-of-the-test"
    let cluster: TestCluster
    let redis: FakeRedis
    let plugins: FakePlugins
    var options = KeelOptions()
    private(set) var hosts: [ServerID: PluginHost] = [:]
    private(set) var extensions: [ServerID: ExtensionService] = [:]
    private var clusterName = ""
    var desk: FakeClusterDesk?

    init(seed: UInt64 = 1, connectors: Int = 1) {
        cluster = TestCluster(TestCluster.records(connectors: connectors), seed: seed)
        redis = FakeRedis(clock: cluster.clock, isCluster: RedisLayout.current.isCluster)
        redis.registerClusterScripts()
        PluginStore.teach(redis)
        plugins = FakePlugins(cluster.clock)
        options.bootstrap = Self.bootstrap
        options.scopes = KeelOptions.allScopes
    }

    static func started(seed: UInt64 = 1, connectors: Int = 1) async throws -> PluginWorld {
        let world = PluginWorld(seed: seed, connectors: connectors)
        for record in world.cluster.records { try await world.start(record.id) }
        await world.pass(.seconds(4))
        return world
    }

    @discardableResult func start(_ id: ServerID) async throws -> PluginHost {
        try await cluster.start(id) { app in
            let client = redis.client()
            let context = app.context
            clusterName = context.clusterName
            let election = Election(
                "plugins", RedisElectionStore(client, cluster: context.clusterName), as: id.rawValue,
                clock: context.clock,
                random: context.random, logger: quiet)
            let host = try PluginHost(
                context, options, redis: client, messages: client, caller: plugins, tokens: FakeTokens(),
                election: election, extensions: app.extensions, cluster: desk)
            try app.load(host)
            hosts[id] = host
            extensions[id] = app.extensions
        }
        return try host(id)
    }

    func host(_ id: ServerID = "chat-1") throws -> PluginHost { try #require(hosts[id]) }

    /// How a server asks and tells plugins.
    func outside(_ id: ServerID = "chat-1") throws -> any OutsideImplementers {
        try #require(extensions[id]?.outside)
    }

    /// Long times in longer steps: nothing here has less than a quarter of a second to live then.
    func pass(_ time: Duration) async {
        await cluster.advance(by: time, step: .milliseconds(time >= .seconds(10) ? 250 : 50))
    }

    /// What a caller is answered that asks a server's host; forwarded requests are carried out.
    func ask(
        _ method: String = "GET", _ path: String, _ body: JSON? = nil, headers: [PluginHeader] = [],
        at id: ServerID = "chat-1"
    ) async throws -> PluginResponse {
        let answer = try begin(method, path, body, headers: headers, at: id)
        for _ in 0..<2000 {
            if let response = answer.value { return response }
            await pass(.milliseconds(50))
        }
        throw Unmet(description: "an answer to \(method) \(path)")
    }

    /// The same without time passing.
    func begin(
        _ method: String = "GET", _ path: String, _ body: JSON? = nil, headers: [PluginHeader] = [],
        at id: ServerID = "chat-1"
    ) throws -> FirstOutcome<PluginResponse> {
        let host = try host(id)
        let answer = FirstOutcome<PluginResponse>()
        Loop.spawn { answer.end(with: await self.carriedOut(method, path, body, headers, host)) }
        return answer
    }

    private func carriedOut(
        _ method: String, _ path: String, _ body: JSON?, _ headers: [PluginHeader], _ host: PluginHost
    ) async -> PluginResponse {
        let bytes = body?.encoded() ?? Bytes()
        switch await host.decide(PluginHead(method, path, headers: headers)) {
        case .answer(let response): return response
        case .work(let limit, _, let work):
            guard bytes.count <= limit else { return PluginAnswer(413, "too large").response }
            return await work(PluginRequest(method, path, headers: headers, body: bytes))
        case .forward(let forward):
            let request = PluginRequest(forward.method, forward.path, headers: forward.headers, body: bytes)
            do throws(PluginCallError) {
                let response = try await plugins.call(
                    forward.base, request, within: forward.deadline, limit: forward.responseLimit)
                forward.finished(.answered(status: response.status))
                return response
            } catch {
                forward.finished(error.outcome)
                return forward.failure?(error.outcome) ?? PluginAnswer(502, "no words of its own").response
            }
        }
    }

    // MARK: shorthands

    /// Puts a plugin at an address.
    @discardableResult func plugin(
        _ id: String, at address: String, _ more: JSONObject = [:]
    ) -> FakePlugin {
        var identity: JSONObject = [
            "ret": 0, "msg": "ok", "plugin_id": .string(id), "version": "1.0",
        ]
        for (key, value) in more { identity[key] = value }
        let plugin = FakePlugin(.object(identity))
        plugins.byAddress[address] = plugin
        return plugin
    }

    func register(
        _ id: String, at address: String, _ more: JSONObject = [:]
    ) async throws -> PluginResponse {
        var body: JSONObject = ["id": .string(id), "secret": .string(Self.bootstrap), "url": .string(address)]
        for (key, value) in more { body[key] = value }
        return try await ask("POST", "/v1.0/invoke/keel/method/plugins/register", .object(body))
    }

    /// Registers a plugin that answers as it should; its secret comes back.
    func join(
        _ id: String, at address: String, _ more: JSONObject = [:]
    ) async throws -> (plugin: FakePlugin, secret: String) {
        let plugin = plugin(id, at: address, more)
        let answer = try await register(id, at: address)
        let secret = try #require(answer.json["secret"]?.string, "\(answer.status) \(answer.json)")
        await pass(.seconds(1))
        return (plugin, secret)
    }

    func token(_ id: String, _ secret: String) async throws -> String {
        let host = try host()
        let body = Bytes("client_id=\(id)&client_secret=\(secret)".utf8)
        guard
            case .work(_, _, let work) = await host.decide(
                PluginHead("POST", "/v1.0/invoke/plugins/method/oauth2/token", headers: []))
        else { throw Unmet(description: "a token") }
        let answer = await work(PluginRequest("POST", "/", body: body))
        return try #require(answer.json["access_token"]?.string, "\(answer.status) \(answer.json)")
    }

    /// What Redis has of plugins, by fields.
    func kept() async throws -> [String: String] {
        let key = PluginKeys(cluster: clusterName).entries
        let reply = try await redis.send(RedisCommand("HGETALL", key))
        let fields = (reply.dictionary ?? [:]).filter { $0.key.string.hasPrefix("p/") }
        return Dictionary(uniqueKeysWithValues: fields.map { ($0.key.string, $0.value) })
    }

    /// Events in a plugin's stream.
    func waiting(for id: PluginID) async throws -> Int? {
        try await redis.send(RedisCommand("XLEN", PluginKeys(cluster: clusterName).outbox(id))).int
    }

    func entries() async throws -> [String] { try await kept().keys.sorted() }
}

/// The cluster's services, as a plugin's calls see them.
@Loop final class FakeClusterDesk: PluginClusterDesk {
    private(set) var asked: [String] = []

    func push(_ route: String, _ message: JSON, to users: [UserID]) async throws -> Int {
        asked.append("push \(route) \(message) to \(users.map(\.rawValue))")
        return users.count
    }

    func push(_ route: String, _ message: JSON, to channel: ChannelName) async throws -> Int {
        asked.append("push \(route) \(message) to \(channel)")
        return 3
    }

    func kick(_ user: UserID, reason: String) async throws -> Int {
        asked.append("kick \(user) \(reason)")
        return 1
    }

    func sessions(of user: UserID) async throws -> [ServerID] { user == "ann" ? ["connector-1"] : [] }

    func members(of channel: ChannelName) async throws -> [UserID] {
        guard channel == "hall" else { throw PomeloError(.redisUnavailable, "not now") }
        return ["ann", "bob"]
    }
}

/// As a caller that shows a plugin's token.
func bearing(_ token: String) -> [PluginHeader] { [PluginHeader("x-plugin-jwt", "Bearer \(token)")] }
