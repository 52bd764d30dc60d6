// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloJSON
import PomeloLoop

/// What one start of a frontend answers to `BackendSessionService`.
///
/// ```
/// bind, unbind   session u64 | uid text                         → empty
/// push           session u64 | removed keys texts | JSON        → empty
/// kick           session u64 | reason text                      → u8: 1 when it was open
/// kickByUid      uid text | reason text                         → u32: how many were open
/// get, getByUid  session u64, or uid text                       → u32 count, each: u64 | uid text | settings data
/// ```
@Loop struct SessionProcedures {
    let sessions: SessionService

    func register(in table: ProcedureTable) {
        table.suspending(.sessionBind, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            try await sessions.bind(id, UserID(try reader.text()))
            return []
        }
        table.immediate(.sessionUnbind, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            try sessions.unbind(id, UserID(try reader.text()))
            return []
        }
        table.immediate(.sessionPush, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            let removed = try reader.texts()
            try sessions.push(id, try JSON.parse(try reader.rest()).object ?? JSONObject(), removing: removed)
            return []
        }
        table.immediate(.sessionKick, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            let id = SessionID(try reader.number())
            return [sessions.kick(id, reason: try reader.text()) ? 1 : 0]
        }
        table.immediate(.sessionKickByUid, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            let uid = UserID(try reader.text())
            var reply = PayloadWriter()
            reply.count(sessions.kick(uid, reason: try reader.text()))
            return reply.bytes
        }
        table.immediate(.sessionGet, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            return export([sessions.get(SessionID(try reader.number()))].compactMap { $0 })
        }
        table.immediate(.sessionGetByUid, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            return export(sessions.get(byUid: UserID(try reader.text())))
        }
    }

    private func export(_ sessions: [ClientSession]) -> Bytes {
        var payload = PayloadWriter()
        payload.count(sessions.count)
        for session in sessions {
            payload.number(session.id.rawValue)
            payload.text(session.uid?.rawValue ?? "")
            payload.data(JSON.object(session.settings).encoded())
        }
        return payload.bytes
    }
}
