// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloExtensions
import PomeloGlobalChannel

/// What is said in a room about who comes and goes, by connectors and chat servers alike; to plugins too.
@Loop enum Rooms {
    /// Has a server pass on what the channels tell of it.
    static func follow(_ app: Application) {
        let channels = app.globalChannel
        channels.onGone { [app] in await tell($0, app) }
        channels.onReturned { [app] members in
            for guest in members.uids.compactMap(Guest.init) { await welcome(guest, app) }
        }
        channels.onGap { [app] gap in
            for room in gap.channels { Loop.spawn { await tellGap(in: room, app) } }
        }
    }

    /// Tells the others in the room of a guest who is in it.
    static func welcome(_ guest: Guest, _ app: Application) async {
        await confirm("onAdd", app) {
            try await app.globalChannel.pushMessage(
                .connector, ChatAPI.onAdd, .init(user: guest.name), guest.room, except: [guest.uid], arrival: guest.uid)
        }
    }

    /// Returns if plugins let a guest into its room.
    static func mayEnter(_ ticket: ChatAPI.Ticket, _ app: Application) async throws {
        switch await app.extensions.ask(.beforeJoin, data(ticket), key: ticket.rid.rawValue) {
        case .pass: return
        case .drop: throw Fault(403)
        case .refuse(let why, _): throw Fault(403, why)
        }
    }

    /// Tells plugins of a guest who is a member now.
    static func entered(_ ticket: ChatAPI.Ticket, _ app: Application) {
        app.extensions.tell(.afterJoin, data(ticket), key: ticket.rid.rawValue)
    }

    private static func data(_ ticket: ChatAPI.Ticket) -> JSON {
        ["channel": .init(ticket.rid), "uid": .init(ticket.uid), "frontend": .init(ticket.frontend)]
    }

    /// Tells a room who is gone from it, and plugins.
    private static func tell(_ gone: GoneMembers, _ app: Application) async {
        for uid in gone.uids {
            app.extensions.tell(
                .afterLeave, ["channel": .init(gone.channel), "uid": .init(uid)], key: gone.channel.rawValue)
        }
        await confirm("onLeave", app) {
            try await app.globalChannel.tell(.connector, ChatAPI.onLeave, gone) { uid in
                .init(user: Guest(uid)?.name ?? uid.rawValue)
            }
        }
    }

    /// Tells those in a room, at this connector, that they may have missed something.
    private static func tellGap(in room: ChannelName, _ app: Application) async {
        await confirm("onGap", app) { try await app.globalChannel.pushHere(ChatAPI.onGap, Nothing(), room) }
    }

    private static func confirm(
        _ route: String, _ app: Application, _ push: @Loop () async throws -> PushReport
    ) async {
        do {
            let report = try await push()
            guard !report.failed.isEmpty else { return }
            app.log.warning("\(route) was not confirmed by \(report.failed.keys.sorted())")
        } catch {
            app.log.error("\(route): \(error)")
        }
    }
}
