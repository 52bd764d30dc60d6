// SPDX-License-Identifier: MIT
import Pomelo
import PomeloGlobalChannel
import Testing

/// What a handler of the recordings fails with when it has no code for its client.
struct Plain: Error {}

/// Notes taken by the connector's process.
@Loop final class Notes {
    var count: Int

    init(_ count: Int) { self.count = count }
}

/// The connector's handler, as the recordings show it.
struct EntryHandler: Handler {
    /// Named by the dictionary and called by no recording.
    static let uncalled = ["bindOnly", "join", "leave", "mem", "unbind"]

    let app: Application
    let notes: Notes

    var routes: [ServedRoute] {
        let called = [
            on(json: Self.route("echo")) { body, _ in body },
            on(json: Self.route("login"), login),
            on(json: Self.route("note"), note),
            on(json: Self.route("noteCount"), noteCount),
            on(json: Self.route("kickSid"), kickSid),
            on(json: Self.route("kickme"), kickMe),
            on(json: Self.route("fail")) { _, _ in throw Fault(body: ["code": 418, "msg": "teapot"]) },
            on(json: Self.route("failPlain")) { _, _ in throw Plain() },
            on(json: Self.route("throwit")) { _, _ in throw Plain() },
            // The original's answers a second time, with n 2: here there is no way to say that.
            on(json: Self.route("twice")) { _, _ in ["code": 200, "n": 1] },
            on(json: Self.route("never"), never),
            on(json: Self.route("protoEcho"), protoEcho),
            on(json: Self.route("protoPush"), protoPush),
        ]
        return called + Self.uncalled.map { name in on(json: Self.route(name)) { _, _ in ["code": 200] } }
    }

    static func route(_ method: String) -> String { "connector.entryHandler." + method }

    func login(_ body: JSON, _ session: Session) async throws -> JSON {
        guard let name = body["userId"]?.string else { throw Fault(500) }
        let uid = UserID(name)
        do {
            try await session.bind(uid)
        } catch let error as PomeloError where error.code == .binding {
            let bound = session.uid?.rawValue ?? "nobody"
            throw Fault(body: ["code": 500, "error": .string("session has already bind with \(bound)")])
        }
        if let room = body["room"]?.string {
            session.set("room", .string(room))
            try await session.push("room")
            try await app.globalChannel.add(ChannelName(room), uid, session.frontend)
            if body["notify"]?.isTruthy == true {
                let onAdd = Push<JSON>("onAdd")
                _ = try await app.globalChannel.pushMessage(
                    "connector", onAdd, ["user": .string(name)], ChannelName(room))
            }
        }
        return ["code": 200, "sid": .string(session.frontend.rawValue)]
    }

    /// The keys of the answer have the order of the schema, whatever that of the request is.
    func protoEcho(_ body: JSON, _ session: Session) -> JSON {
        var answer: JSONObject = ["code": 200]
        for (key, value) in body.object ?? [:] { answer[key] = value }
        return .object(answer)
    }

    func protoPush(_ body: JSON, _ session: Session) throws -> JSON {
        guard let uid = session.uid else { throw Fault(500) }
        let message: JSON = [
            "code": 7, "text": "héllo 你好", "vals": [1, -2, 300, -40000], "pos": ["x": 1.5, "y": -2.25],
            "big": 4_294_967_295,
        ]
        // The answer is on its way first.
        _ = app.clock.schedule(after: .milliseconds(1)) { [app] in
            Loop.spawn {
                do {
                    try await app.channelService.pushMessageByUids(
                        Push<JSON>("onProto"), message, [(uid: uid, frontend: session.frontend)])
                } catch {
                    Issue.record(error)
                }
            }
        }
        return ["code": 200]
    }

    func note(_ body: JSON, _ session: Session) -> JSON {
        notes.count += 1
        return [:]
    }

    func noteCount(_ body: JSON, _ session: Session) -> JSON {
        ["code": 200, "count": .int(Int64(notes.count))]
    }

    func kickSid(_ body: JSON, _ session: Session) -> JSON {
        soon { sessions in sessions.kick(session.id, reason: body["reason"]?.string ?? "kick") }
        return ["code": 200]
    }

    func kickMe(_ body: JSON, _ session: Session) throws -> JSON {
        guard let uid = session.uid else { throw Fault(500) }
        soon { sessions in sessions.kick(uid, reason: body["reason"]?.string ?? "kick") }
        return ["code": 200]
    }

    /// The answer is on its way first.
    private func soon(_ body: @escaping @Loop (SessionService) -> Void) {
        _ = app.clock.schedule(after: .milliseconds(10)) { [app] in body(app.sessionService) }
    }

    func never(_ body: JSON, _ session: Session) async -> JSON {
        await app.clock.sleep(for: .seconds(3600))
        return [:]
    }
}
