// SPDX-License-Identifier: MIT
import Pomelo
import PomeloExtensions
import PomeloGlobalChannel

/// What connectors answer.
struct EntryHandler: Handler {
    let app: Application
    let lag: LagMeter

    var routes: [ServedRoute] {
        on(BenchAPI.login, login)
        on(BenchAPI.bindOnly, bindOnly)
        on(BenchAPI.echoTyped) { line, _ in line }
        on(BenchAPI.connectorLag) { query, _ in lag.answer(query) }
        on(raw: BenchAPI.rawEcho) { body, _ in body }
        on(raw: BenchAPI.rawEchoWaiting) { (body, _) async in body }
    }

    func login(_ login: BenchAPI.Login, _ session: Session) async throws -> BenchAPI.Done {
        guard let room = login.room, !room.isEmpty else { throw Fault(400, "room is missing") }
        let uid = try await bind(login, session)
        session.set("room", .string(room))
        try await session.push("room")
        try await app.globalChannel.add(ChannelName(room), uid, session.frontend)
        return BenchAPI.Done()
    }

    func bindOnly(_ login: BenchAPI.Login, _ session: Session) async throws -> BenchAPI.Done {
        _ = try await bind(login, session)
        return BenchAPI.Done()
    }

    private func bind(_ login: BenchAPI.Login, _ session: Session) async throws -> UserID {
        guard let name = login.userId?.string ?? login.userId?.int.map(String.init), !name.isEmpty else {
            throw Fault(400, "userId is missing")
        }
        let uid = UserID(name)
        try await session.bind(uid)
        return uid
    }
}

/// What chat servers answer.
struct ChatHandler: Handler {
    let app: Application
    let lag: LagMeter

    var routes: [ServedRoute] {
        on(BenchAPI.send, send)
        on(BenchAPI.asked, asked)
        on(BenchAPI.chatLag) { query, _ in lag.answer(query) }
        on(raw: BenchAPI.forwardedEcho) { body, _ in body }
    }

    private static let nobodys = ExtensionPoint(
        owner: "bench", name: "nobodys", mode: .chain, budget: .milliseconds(150))

    func asked(_ line: BenchAPI.Asked, _ session: Session) async throws -> BenchAPI.Asked {
        let point: ExtensionPoint =
            switch line.whom {
            case "plugin": .beforeSend
            case "body": .beforeJoin
            default: Self.nobodys
            }
        let data: JSON = ["channel": "hall", "from": "ann", "body": .string(line.text), "meta": [:]]
        // As many keys as clients: those of one key would wait for each other.
        let verdict = await app.extensions.ask(point, data, key: session.id.description)
        guard case .pass(_, tags: []) = verdict else { throw Fault(500, "\(point): \(verdict)") }
        return line
    }

    func send(_ say: BenchAPI.Say, _ session: Session) async throws -> BenchAPI.Done {
        guard let room = session.get("room")?.string else { throw Fault(400, "log in first") }
        _ = try await app.globalChannel.pushMessage(.connector, BenchAPI.onMessage, say, ChannelName(room))
        return BenchAPI.Done()
    }
}
