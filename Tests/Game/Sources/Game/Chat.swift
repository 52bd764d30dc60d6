// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloGlobalChannel
import PomeloStatus

/// What players say.
struct ChatHandler: Handler {
    let app: Application
    let atlas: Atlas

    var routes: [ServedRoute] {
        on(GameAPI.say, say)
        on(GameAPI.whisper, whisper)
        on(GameAPI.whereIs, whereIs)
        on(cron: "newsCron.tell", tellNews)
    }

    func say(_ words: GameAPI.Words, _ session: Session) async throws -> GameAPI.Heard {
        guard let name = session.uid else { throw Fault(401, "log in first") }
        let said = GameAPI.Said(from: name, text: words.text)
        let report = try await app.globalChannel.pushMessage(.connector, GameAPI.onSay, said, .world)
        return .init(by: report.queued)
    }

    func whisper(_ words: GameAPI.Words, _ session: Session) async throws -> GameAPI.Heard {
        guard let name = session.uid, let friend = words.to else { throw Fault(400, "to is missing") }
        guard try await app.status.getStatusByUid(friend) else { throw Fault(404, "\(friend) is not online") }
        let report = try await app.status.pushByUids([friend], GameAPI.onSay, .init(from: name, text: words.text))
        return .init(by: report.queued)
    }

    /// The area's own answer, or its fault.
    func whereIs(_ wanted: GameAPI.Wanted, _ session: Session) async throws -> GameAPI.Spot {
        try await app.rpc.call(GameAPI.find, wanted, by: wanted.area)
    }

    /// How many play where, and what grows in the area that is featured.
    func tellNews() async throws {
        let counts = try await app.rpc.callAll(GameAPI.count, Nothing())
        let players = try counts.values.map { try $0.get() }.reduce(0, +)
        let featured = atlas.featured
        let herbs = try await app.rpc.call(GameAPI.herbs, .init(area: featured), by: featured)
        let news = GameAPI.News(players: players, servers: counts.keys.sorted(), featured: herbs)
        try await app.channelService.broadcast(to: .connector, GameAPI.onNews, news, bound: true)
    }
}

/// What game masters may do, and nobody else.
struct MasterHandler: Handler {
    let app: Application
    let atlas: Atlas

    var routes: [ServedRoute] {
        on(GameAPI.kick, kick)
        if !atlas.gameMasters.isEmpty {
            on(json: "chat.masterHandler.census", census)
            on(json: "chat.masterHandler.invoke", invoke)
            on(json: "chat.masterHandler.disband", disband)
        }
    }

    func kick(_ kick: GameAPI.Kick, _ session: Session) async throws -> GameAPI.Kicked {
        try check(session)
        var sessions = 0
        for frontend in try await app.status.getSidsByUid(kick.name) {
            sessions += try await app.backendSessionService.kick(frontend, byUid: kick.name, reason: kick.reason)
        }
        return .init(sessions: sessions)
    }

    /// What the master was told last.
    func census(_: JSON, _ session: Session) async throws -> JSON {
        try check(session)
        guard let master = app.master else { throw Fault(503, "there is no master") }
        return try await app.admin.request(master.id, "census", ["latest": true])
    }

    /// A remote by its name, for what no handler was written for.
    func invoke(_ query: JSON, _ session: Session) async throws -> JSON {
        try check(session)
        guard let server = query["server"]?.string, let route = query["route"]?.string else {
            throw Fault(400, "server or route is missing")
        }
        return ["reply": try await app.rpc.invoke(ServerID(server), route, query["argument"] ?? [:])]
    }

    /// Everybody's channel has nobody any more; the gate has no channels, and is not asked.
    func disband(_: JSON, _ session: Session) async throws -> JSON {
        try check(session)
        try await app.globalChannel.destroyChannel(.world)
        return [:]
    }

    private func check(_ session: Session) throws {
        guard let name = session.uid, atlas.gameMasters.contains(name) else { throw Fault(403, "for game masters") }
    }
}
