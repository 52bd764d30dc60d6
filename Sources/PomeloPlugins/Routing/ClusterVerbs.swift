// SPDX-License-Identifier: MIT
import PomeloBytes
public import PomeloCore
public import PomeloJSON
public import PomeloLoop

/// What plugins may ask of the cluster, by the services that an application has.
@Loop public protocol PluginClusterDesk: AnyObject {
    /// Pushes to users, wherever they are; how many were reached comes back.
    func push(_ route: String, _ message: JSON, to users: [UserID]) async throws -> Int
    /// Pushes to the members of a channel; how many were reached comes back.
    func push(_ route: String, _ message: JSON, to channel: ChannelName) async throws -> Int
    /// Ends the sessions of a user; how many there were comes back.
    func kick(_ user: UserID, reason: String) async throws -> Int
    /// Where a user is online.
    func sessions(of user: UserID) async throws -> [ServerID]
    /// Who is in a channel.
    func members(of channel: ChannelName) async throws -> [UserID]
}

/// What is served at `/v1.0/invoke/keel/method/chat/v1/{verb}`.
///
/// | verb | body | answer in `data` | scope |
/// |---|---|---|---|
/// | POST `push` | `{"route", "msg", "uids" or "channel"}` | `{"queued"}` | `push` |
/// | POST `kick` | `{"uid", "reason"?}` | `{"kicked"}` | `kick` |
/// | GET `sessions/{uid}` | | `{"frontends"}` | `read` |
/// | GET `channels/{name}/members` | | `{"uids"}` | `read` |
/// | GET `servers` | | `[{"id", "type", "state"}]` | `read` |
///
/// Each plugin has so many of them a second.
@Loop final class ClusterVerbs {
    private static let maxUsers = 1000
    /// What a message to clients has room for.
    private static let maxRouteBytes = 255

    private let desk: any PluginClusterDesk
    private let servers: ServerDirectory
    private let rate: CallRate

    init(_ desk: any PluginClusterDesk, _ context: ServiceContext, _ options: KeelOptions) {
        self.desk = desk
        servers = context.servers
        rate = CallRate(options.maxCallbacksPerSecond, context.clock)
    }

    func serve(_ call: PlatformCall) async throws(PluginAnswer) -> PluginAnswer {
        guard let plugin = call.source.plugin else { throw PluginAnswer(401, "only a plugin may ask this") }
        guard rate.admits(plugin.id) else {
            var answer = PluginAnswer(429, "\(plugin.id) asks too often")
            answer.headers = [PluginHeader("Retry-After", "1")]
            throw answer
        }
        let parts = call.verb.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        switch (Text(parts[0]), parts.count) {
        case ("push", 1): return try await push(call, plugin)
        case ("kick", 1): return try await kick(call, plugin)
        case ("servers", 1):
            try Self.need("GET", "read", call, plugin)
            return .ok(.array(servers.all.map(Self.shown)))
        case ("sessions", 2):
            try Self.need("GET", "read", call, plugin)
            let user = UserID(try Self.unescaped(parts[1]))
            return try await Self.answered { ["frontends": .array(try await self.desk.sessions(of: user).map(\.json))] }
        case ("channels", 3) where parts[2] == "members":
            try Self.need("GET", "read", call, plugin)
            let channel = ChannelName(try Self.unescaped(parts[1]))
            return try await Self.answered { ["uids": .array(try await self.desk.members(of: channel).map(\.json))] }
        default: throw PluginAnswer(404, "the cluster has no verb \(call.verb.forLog)")
        }
    }

    private func push(_ call: PlatformCall, _ plugin: PluginRecord) async throws(PluginAnswer) -> PluginAnswer {
        try Self.need("POST", "push", call, plugin)
        let body = try call.body()
        guard let route = body["route"]?.string, (1...Self.maxRouteBytes).contains(route.utf8.count) else {
            throw PluginAnswer(400, "route is missing, or longer than \(Self.maxRouteBytes) bytes")
        }
        let message = body["msg"] ?? .object([:])
        guard message.object != nil else { throw PluginAnswer(400, "msg is no object") }
        if let channel = body["channel"]?.string {
            return try await Self.answered {
                ["queued": .init(try await self.desk.push(route, message, to: ChannelName(channel)))]
            }
        }
        let users = body["uids"]?.array?.compactMap(\.string) ?? []
        guard (1...Self.maxUsers).contains(users.count), users.count == body["uids"]?.array?.count else {
            throw PluginAnswer(400, "uids or channel is needed; uids are 1 to \(Self.maxUsers) texts")
        }
        return try await Self.answered {
            ["queued": .init(try await self.desk.push(route, message, to: users.map { UserID($0) }))]
        }
    }

    private func kick(_ call: PlatformCall, _ plugin: PluginRecord) async throws(PluginAnswer) -> PluginAnswer {
        try Self.need("POST", "kick", call, plugin)
        let body = try call.body()
        guard let user = body["uid"]?.string, !user.isEmpty else { throw PluginAnswer(400, "uid is missing") }
        let reason = String((body["reason"]?.string ?? "plugin").prefix(128))
        return try await Self.answered { ["kicked": .init(try await self.desk.kick(UserID(user), reason: reason))] }
    }

    private static func need(
        _ method: String, _ scope: String, _ call: PlatformCall, _ plugin: PluginRecord
    ) throws(PluginAnswer) {
        try call.need(method)
        guard plugin.scopes.contains(where: { Text($0) == Text(scope) }) else {
            throw PluginAnswer(403, "\(plugin.id) has no scope \(scope)")
        }
    }

    private static func answered(_ body: @Loop () async throws -> JSON) async throws(PluginAnswer) -> PluginAnswer {
        do { return .ok(try await body()) } catch { throw PluginAnswer(503, "\(error)") }
    }

    private static func unescaped(_ part: String) throws(PluginAnswer) -> String {
        guard let text = FormFields.unescaped(part), !text.isEmpty else { throw PluginAnswer(400, "a name is missing") }
        return text
    }

    private static func shown(_ server: ServerInfo) -> JSON {
        [
            "id": server.record.id.json, "type": server.record.type.json, "state": .string(server.state.rawValue),
        ]
    }
}

/// So many calls of each plugin in a second.
@Loop private final class CallRate {
    private let limit: Int
    private let clock: any LoopClock
    private var begun: UInt64 = 0
    private var counts: [PluginID: Int] = [:]

    init(_ limit: Int, _ clock: any LoopClock) {
        self.limit = limit
        self.clock = clock
    }

    func admits(_ id: PluginID) -> Bool {
        if clock.now >= begun &+ 1_000_000_000 { (begun, counts) = (clock.now, [:]) }
        counts[id, default: 0] += 1
        return (counts[id] ?? 0) <= limit
    }
}
