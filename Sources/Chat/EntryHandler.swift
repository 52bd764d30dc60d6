// SPDX-License-Identifier: MIT
import Pomelo
import PomeloGlobalChannel

/// Lets clients into a room.
struct EntryHandler: Handler {
    static let refused = Fault(body: ["code": 500, "error": true])
    let app: Application

    var routes: [ServedRoute] { on(ChatAPI.enter, enter) }

    func enter(_ enter: ChatAPI.Enter, _ session: Session) async throws -> ChatAPI.Roster {
        guard session.uid == nil, let guest = Guest(name: enter.username?.string, room: enter.rid?.string) else {
            throw Self.refused
        }
        do {
            try await session.bind(guest.uid)
        } catch let error as PomeloError where error.code == .binding {
            throw Self.refused
        }
        do {
            session.set("rid", .string(guest.room.rawValue))
            try await session.push("rid")
            let ticket = ChatAPI.Ticket(uid: guest.uid, rid: guest.room, frontend: session.frontend)
            return try await app.rpc.call(ChatAPI.admit, ticket, for: session)
        } catch {
            // Not in the room after all: the client may try again. Who heard of the guest hears that it left.
            try await app.globalChannel.leave(guest.room, guest.uid, session.frontend)
            try await session.unbind()
            throw error
        }
    }
}
