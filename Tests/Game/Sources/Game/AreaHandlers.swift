// SPDX-License-Identifier: MIT
import Pomelo

/// What players do in their area.
struct AreaHandler: Handler {
    let app: Application
    let areas: Areas

    var routes: [ServedRoute] {
        on(GameAPI.look, look)
        on(GameAPI.move, move)
        on(GameAPI.path, path)
        on(GameAPI.rest, rest)
    }

    func look(_: Nothing, _ session: Session) async throws -> GameAPI.View {
        let player = try await areas.player(of: session)
        let others = areas.names(in: player.area).filter { $0 != player.name }
        return .init(
            server: app.serverID, spot: player.spot, gold: player.gold, bag: player.bag, others: others)
    }

    func move(_ step: GameAPI.Step, _ session: Session) async throws -> GameAPI.Spot {
        var player = try await areas.player(of: session)
        guard abs(step.dx) <= 1, abs(step.dy) <= 1 else { throw Fault(1002, "too far") }
        let spot = GameAPI.Spot(x: player.spot.x + step.dx, y: player.spot.y + step.dy)
        guard areas.atlas.isOpen(spot) else { throw Fault(1001, "a wall") }
        player.spot = spot
        try await areas.save(player)
        try await areas.channel(player.area).pushMessage(
            GameAPI.onMove, .init(name: player.name, spot: spot), except: [player.name])
        return spot
    }

    /// A search is work for the processor, and others have their turns meanwhile.
    func path(_ goal: GameAPI.Spot, _ session: Session) async throws -> GameAPI.Path {
        let (atlas, start) = (areas.atlas, try await areas.player(of: session).spot)
        guard let steps = try await offLoop({ atlas.path(from: start, to: goal) }) else {
            throw Fault(404, "no way leads there")
        }
        return .init(steps: steps)
    }

    /// Does nothing for a while; the filters say for how long at most.
    func rest(_ rest: GameAPI.Rest, _ session: Session) async throws {
        try await Task.sleep(for: .milliseconds(rest.milliseconds))
    }
}

/// Buying: all of it, or nothing.
struct ShopHandler: Handler {
    let app: Application
    let areas: Areas

    var routes: [ServedRoute] { on(GameAPI.buy, buy) }

    func buy(_ purchase: GameAPI.Purchase, _ session: Session) async throws -> GameAPI.Purse {
        guard let price = areas.atlas.prices[purchase.item] else { throw Fault(404, "no such thing") }
        try await app.transaction(
            "buy",
            conditions: [
                .step("gold") {
                    guard try await areas.player(of: session).gold >= price else { throw Fault(402, "too dear") }
                }
            ],
            handlers: [
                .step("pay", undo: { try await change(session) { $0.gold += price } }) {
                    try await change(session) { $0.gold -= price }
                },
                .step("pack") {
                    try await change(session) { player in
                        guard player.bag.count < areas.atlas.bag else { throw Fault(409, "the bag is full") }
                        player.bag.append(purchase.item)
                    }
                },
            ])
        let player = try await areas.player(of: session)
        return .init(gold: player.gold, bag: player.bag)
    }

    private func change(_ session: Session, _ body: (inout Player) throws -> Void) async throws {
        var player = try await areas.player(of: session)
        try body(&player)
        try await areas.save(player)
    }
}

/// What other servers ask of the areas here.
struct AreaRemote: Handler {
    let app: Application
    let areas: Areas

    var routes: [ServedRoute] {
        on(GameAPI.arrive, arrive)
        on(GameAPI.depart, depart)
        on(GameAPI.find, find)
        on(GameAPI.count) { _ in areas.count }
        on(GameAPI.herbs) { .init(area: $0.area, herbs: areas.herbs(in: $0.area)) }
        on(cron: "areaCron.grow") { try await areas.grow() }
    }

    func arrive(_ visit: GameAPI.Visit) async throws -> GameAPI.Place {
        guard let area = areas.atlas.area(visit.area) else { throw Fault(404, "no such area") }
        let player = try await areas.arrive(visit)
        try await areas.channel(area.number).pushMessage(
            GameAPI.onArrive, .init(name: player.name), except: [player.name])
        return .init(server: app.serverID, area: area.number, name: area.name, spot: player.spot)
    }

    func depart(_ visit: GameAPI.Visit) async throws {
        areas.depart(visit)
        try await areas.channel(visit.area).pushMessage(GameAPI.onDepart, .init(name: visit.name))
    }

    func find(_ wanted: GameAPI.Wanted) throws -> GameAPI.Spot {
        guard let player = areas.find(wanted.name, in: wanted.area) else {
            throw Fault(404, "\(wanted.name) is not in area \(wanted.area)")
        }
        return player.spot
    }
}
