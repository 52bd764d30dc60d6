// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloGlobalChannel

extension ChannelName {
    /// Everybody who is in the game.
    static let world: Self = "world"
}

/// On the connectors: who comes into the game, from area to area, and out of it.
struct EntryHandler: Handler {
    let app: Application

    init(app: Application) {
        self.app = app
        // The doors open when all servers are there.
        app.afterStartAll { [app] in app.enable("open") }
        app.sessionService.on { [app] event in
            guard case .closed(let session, _) = event, let visit = Self.visit(session.uid, session.get("area"), app)
            else { return }
            Loop.spawn { await Self.depart(visit, app) }
        }
    }

    var routes: [ServedRoute] {
        on(GameAPI.login, login)
        on(GameAPI.travel, travel)
        on(GameAPI.logout, logout)
        // How long the way is: the bytes come back.
        on(raw: "connector.probeHandler.echo") { body, _ in body }
    }

    func login(_ login: GameAPI.Login, _ session: Session) async throws -> GameAPI.Place {
        guard app.enabled("open") else { throw Fault(503, "not all servers are up yet") }
        guard session.uid == nil else { throw Fault(409, "you are in the game") }
        do {
            try await session.bind(UserID(login.name))
        } catch let error as PomeloError where error.code == .binding {
            throw Fault(409, "\(login.name) is in the game")
        }
        do {
            try await app.globalChannel.add(.world, session: session)
            return try await enter(login.area, session)
        } catch {
            try await session.unbind()
            throw error
        }
    }

    func travel(_ travel: GameAPI.Travel, _ session: Session) async throws -> GameAPI.Place {
        let before = try visit(of: session)
        let place = try await enter(travel.area, session)
        if travel.area != before.area { await Self.depart(before, app) }
        return place
    }

    func logout(_: Nothing, _ session: Session) async throws {
        await Self.depart(try visit(of: session), app)
        session.remove("area")
        try await session.push("area")
        try await session.unbind()
    }

    /// The copy of the session routes the call to the new area; written back, it routes what follows.
    private func enter(_ area: Int, _ session: Session) async throws -> GameAPI.Place {
        session.set("area", area)
        let place = try await app.rpc.call(GameAPI.arrive, try visit(of: session), for: session)
        try await session.push("area")
        return place
    }

    private func visit(of session: Session) throws -> GameAPI.Visit {
        guard let visit = Self.visit(session.uid, session.get("area"), app) else { throw Fault(401, "log in first") }
        return visit
    }

    private static func visit(_ name: UserID?, _ area: JSON?, _ app: Application) -> GameAPI.Visit? {
        guard let name, let area = area?.int else { return nil }
        return GameAPI.Visit(name: name, frontend: app.serverID, area: Int(area))
    }

    private static func depart(_ visit: GameAPI.Visit, _ app: Application) async {
        do {
            try await app.rpc.call(GameAPI.depart, visit, by: visit.area)
        } catch {
            app.log.warning("a departure was not heard of", metadata: ["error": "\(error)"])
        }
    }
}
