// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloGlobalChannel
import PomeloStatus

/// What clients may say.
struct ChatHandler: Handler {
    let app: Application

    var routes: [ServedRoute] { on(ChatAPI.send, send) }

    func send(_ say: ChatAPI.Say, _ session: Session) async throws -> Nothing {
        guard let guest = session.uid.flatMap(Guest.init) else { throw Fault(500) }
        guard let target = say.target?.string else { throw Fault(404) }
        let said = ChatAPI.Said(msg: say.content ?? .null, from: guest.name, target: target)
        if Text(target) == "*" {
            let report = try await app.globalChannel.pushMessage(.connector, ChatAPI.onChat, said, guest.room)
            if !report.failed.isEmpty { app.log.warning("onChat was not confirmed by \(report.failed.keys.sorted())") }
        } else {
            guard let friend = Guest(name: target, room: guest.room.rawValue) else { throw Fault(404) }
            let report = try await app.status.pushByUids([friend.uid], ChatAPI.onChat, said)
            guard report.queued > 0 else { throw Fault(404) }
        }
        return Nothing()
    }
}

/// What connectors ask of the room's server.
struct ChatRemote: Handler {
    let app: Application

    init(app: Application) {
        self.app = app
        app.globalChannel.onLost { [app] lost in
            for guest in lost.uids.compactMap(Guest.init) { await EntryHandler.announceLeave(of: guest, app) }
        }
    }

    var routes: [ServedRoute] { on(ChatAPI.admit, admit) }

    /// Adds first, then tells, then looks: of two who enter at once each hears of the other.
    func admit(_ ticket: ChatAPI.Ticket) async throws -> ChatAPI.Roster {
        guard let guest = Guest(ticket.uid) else { throw Fault(500) }
        let channels = app.globalChannel
        try await channels.add(ticket.rid, ticket.uid, ticket.frontend)
        _ = try await channels.pushMessage(
            .connector, ChatAPI.onAdd, .init(user: guest.name), ticket.rid, except: [ticket.uid])
        let members = await channels.getMembersByChannelName(.connector, ticket.rid)
        let names = Set(members.uids.compactMap { Guest($0).map { Text($0.name) } }).union([Text(guest.name)])
        return ChatAPI.Roster(users: names.sorted().map(\.string))
    }
}
