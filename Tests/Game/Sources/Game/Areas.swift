// SPDX-License-Identifier: MIT
import Pomelo
import PomeloRedis

/// Who a player is, wherever it is; kept in Redis.
struct Player: Codable, Sendable {
    /// What others are told.
    struct Name: Body { var name: UserID }

    var name: UserID
    var frontend: ServerID
    var area: Int
    var spot = GameAPI.Spot(x: 0, y: 0)
    var gold: Int
    var bag: [String] = []
}

/// The areas of one server: who is in them, and what grows there.
///
/// An area is where its number is routed to. Its server may stop: then another has it, finds the players in Redis, and
/// gives it back when the first one returns.
@Loop final class Areas: Component, EventListener {
    let name = "areas"
    let atlas: Atlas
    private let app: Application
    private let redis: RedisClient
    private var players: [UserID: Player] = [:]
    private var herbs: [Int: Int] = [:]

    init(_ app: Application, _ redis: RedisClient) throws {
        self.app = app
        self.redis = redis
        atlas = try app.loadConfig("world", as: Atlas.self)
        app.beforeStartup { [atlas] in
            guard atlas.isOpen(.init(x: 0, y: 0)) else { throw Fault(500, "players would start in a wall") }
        }
        app.beforeShutdown { [unowned self] in try await close() }
    }

    /// Whose area it was may be up again.
    func addServers(_ servers: [ServerRecord]) {
        for player in players.values where !isHere(player.area) { forget(player) }
    }

    private func isHere(_ area: Int) -> Bool {
        (try? app.router.pick(.area, by: area)) == app.serverID
    }

    /// Tells the players that they go on elsewhere.
    private func close() async throws {
        for area in Set(players.values.map(\.area)) {
            try await channel(area).pushMessage(GameAPI.onClosing, .init(server: app.serverID))
        }
    }

    // MARK: players

    var count: Int { players.count }

    func names(in area: Int) -> [UserID] { players.values.filter { $0.area == area }.map(\.name).sorted() }

    func find(_ name: UserID, in area: Int) -> Player? { players[name].flatMap { $0.area == area ? $0 : nil } }

    func player(of session: Session) async throws -> Player {
        guard let name = session.uid else { throw Fault(401, "log in first") }
        if let player = players[name] { return player }
        guard var player = try await saved(name) else { throw Fault(404, "you are nowhere") }
        player.frontend = session.frontend
        enter(player)
        return player
    }

    func arrive(_ visit: GameAPI.Visit) async throws -> Player {
        var player =
            try await saved(visit.name)
            ?? Player(name: visit.name, frontend: visit.frontend, area: visit.area, gold: atlas.gold)
        player.frontend = visit.frontend
        player.area = visit.area
        try await save(player)
        enter(player)
        return player
    }

    func depart(_ visit: GameAPI.Visit) {
        guard let player = players[visit.name], player.area == visit.area else { return }
        forget(player)
    }

    /// Keeps what has become of a player, in Redis and then here.
    func save(_ player: Player) async throws {
        let text = String(decoding: try JSONCoder.encode(player), as: UTF8.self)
        try await redis.send(RedisCommand("HSET", "game:players", player.name.rawValue, text))
        players[player.name] = player
    }

    private func saved(_ name: UserID) async throws -> Player? {
        let reply = try await redis.send(RedisCommand("HGET", "game:players", name.rawValue))
        return try reply.bytes.map { try JSONCoder.decode(Player.self, from: $0) }
    }

    private func enter(_ player: Player) {
        players[player.name] = player
        channel(player.area).add(player.name, player.frontend)
    }

    private func forget(_ player: Player) {
        players[player.name] = nil
        channel(player.area).leave(player.name, player.frontend)
    }

    // MARK: areas

    func channel(_ area: Int) -> Channel { app.channelService.createChannel(ChannelName("area-\(area)")) }

    func herbs(in area: Int) -> Int { herbs[area, default: 0] }

    func grow() async throws {
        let rate = app.record.metadata["herbs"]?.int ?? 1
        for area in Set(players.values.map(\.area)) {
            herbs[area, default: 0] += Int(rate)
            try await channel(area).pushMessage(GameAPI.onGrow, .init(area: area, herbs: herbs(in: area)))
        }
    }
}
