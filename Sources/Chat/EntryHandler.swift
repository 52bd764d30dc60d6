// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloGlobalChannel

/// Lets clients into a room, and tells the others when they are gone.
struct EntryHandler: Handler {
    static let refused = Fault(body: ["code": 500, "error": true])
    let app: Application

    init(app: Application) {
        self.app = app
        app.sessionService.on { [app] event in
            guard case .closed(let session, _) = event, let guest = session.uid.flatMap(Guest.init) else { return }
            Loop.spawn { await Self.announceLeave(of: guest, app) }
        }
    }

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
            // Not in the room after all: the client may try again.
            try await app.globalChannel.leave(guest.room, guest.uid, session.frontend)
            try await session.unbind()
            // The others may have heard of the guest before it failed.
            await Self.announceLeave(of: guest, app)
            throw error
        }
    }

    static func announceLeave(of guest: Guest, _ app: Application) async {
        do {
            let report = try await app.globalChannel.pushMessage(
                .connector, ChatAPI.onLeave, .init(user: guest.name), guest.room)
            if !report.failed.isEmpty { app.log.warning("onLeave was not confirmed by \(report.failed.keys.sorted())") }
        } catch {
            app.log.error("onLeave of \(guest.uid): \(error)")
        }
    }
}
