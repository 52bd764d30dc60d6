// SPDX-License-Identifier: MIT
import Pomelo
import PomeloGlobalChannel
import PomeloStatus

/// The chat server's handler, as the recordings show it.
struct ChatHandler: Handler {
    /// Named by the dictionary and called by no recording.
    static let uncalled = ["bench", "mem", "members", "never", "sendTo", "servers", "status"]

    let app: Application

    var routes: [ServedRoute] {
        let called = [
            on(json: Self.route("echo")) { body, _ in body },
            on(json: Self.route("send"), send),
            on(json: Self.route("pushByUids"), pushByUids),
            on(json: Self.route("failPlain")) { _, _ in throw Plain() },
            on(json: Self.route("throwit")) { _, _ in throw Plain() },
        ]
        return called + Self.uncalled.map { name in on(json: Self.route(name)) { _, _ in ["code": 200] } }
    }

    static func route(_ method: String) -> String { "chat.chatHandler." + method }

    func send(_ body: JSON, _ session: Session) async throws -> JSON {
        guard let uid = session.uid, let room = session.get("room")?.string else { throw Fault(500) }
        let said: JSON = ["from": .string(uid.rawValue), "msg": body["content"] ?? .null]
        let report = try await app.globalChannel.pushMessage(
            "connector", Push<JSON>("onMessage"), said, ChannelName(room))
        return [
            "code": 200, "fails": .int(Int64(report.noSession.count + report.slow + report.failed.count)),
        ]
    }

    func pushByUids(_ body: JSON, _ session: Session) async throws -> JSON {
        let uids = (body["uids"]?.array ?? []).compactMap(\.string).map { UserID($0) }
        let report = try await app.status.pushByUids(
            uids, Push<JSON>("onDirect"), ["msg": body["content"] ?? .null])
        let missed = report.noSession.map { JSON.string($0.rawValue) }
        return ["code": 200, "err": .null, "fails": .array(missed)]
    }
}
