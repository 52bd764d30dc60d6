// SPDX-License-Identifier: MIT
import Logging
import Pomelo
import PomeloExtensions
import PomeloGlobalChannel
import PomeloStatus

/// What clients may say and ask.
struct ChatHandler: Handler {
    let app: Application
    var book: GuestBook?
    var closedRooms: Set<ChannelName> = []

    var routes: [ServedRoute] {
        on(ChatAPI.send, send)
        on(ChatAPI.list, list)
    }

    func send(_ say: ChatAPI.Say, _ session: Session) async throws -> Nothing {
        guard let guest = session.uid.flatMap(Guest.init) else { throw Fault(500) }
        guard let target = say.target?.string else { throw Fault(404) }
        // Whoever may say anything may say so much that the others are given up as slow.
        guard (say.content ?? .null).encoded().count <= ChatAPI.Say.contentLimit else { throw Fault(413) }
        var line = SpokenLine(guest, say, ChatAPI.Said(msg: say.content ?? .null, from: guest.name, target: target))
        if Text(target) != "*" {
            guard let friend = Guest(name: target, room: guest.room.rawValue) else { throw Fault(404) }
            line.friend = friend
        }
        guard try await mayBeSaid(&line) else { return Nothing() }
        if let friend = line.friend {
            try await whisper(line.said, to: friend)
        } else {
            try await tell(line.said, to: guest.room)
        }
        app.extensions.tell(.afterSend, line.data, key: line.key)
        await book?.said(guest)
        return Nothing()
    }

    /// False: nobody hears of it, and who said it does not hear of that.
    private func mayBeSaid(_ line: inout SpokenLine) async throws -> Bool {
        let policy: FailurePolicy? = closedRooms.contains(line.guest.room) ? .closed : nil
        switch await app.extensions.ask(.beforeSend, line.data, key: line.key, onFailure: policy) {
        case .pass(let data, let tags):
            // Data without a body is no judgement.
            let isJudged = data["body"] != nil && !tags.contains(.unmoderated)
            guard isJudged || policy != .closed else { throw Fault(503, "nobody has judged it") }
            line.said.msg = data["body"] ?? line.said.msg
            if !isJudged { line.said.unmoderated = true }
        case .drop: return false
        case .refuse(let why, ExtensionVerdict.unansweredRet): throw Fault(503, why)
        case .refuse(let why, _): throw Fault(403, why)
        }
        guard line.said.msg.encoded().count <= ChatAPI.Say.contentLimit else { throw Fault(413) }
        return true
    }

    /// Acknowledged when it has reached the room, but for connectors that did not confirm: those tell their clients
    /// that they may have missed something.
    private func tell(_ said: ChatAPI.Said, to room: ChannelName) async throws {
        let report = try await app.globalChannel.pushMessage(.connector, ChatAPI.onChat, said, room)
        if !report.failed.isEmpty { app.log.warning("onChat was not confirmed by \(report.failed.keys.sorted())") }
        guard report.queued > 0, !report.isIncomplete else { throw Fault(503) }
    }

    private func whisper(_ said: ChatAPI.Said, to friend: Guest) async throws {
        do {
            let report = try await app.status.pushByUids([friend.uid], ChatAPI.onChat, said)
            guard report.queued > 0 else { throw Fault(404) }
        } catch let error as PomeloError where [.presenceUnknown, .redisUnavailable].contains(error.code) {
            throw Fault(503, "presence unknown")
        }
    }

    func list(_: Nothing, _ session: Session) async throws -> ChatAPI.Roster {
        guard let guest = session.uid.flatMap(Guest.init) else { throw Fault(500) }
        return try await ChatAPI.Roster.of(guest, app)
    }
}

extension ChatAPI.Roster {
    /// Everybody in a guest's room; an error when not everybody is known.
    static func of(_ guest: Guest, _ app: Application) async throws -> ChatAPI.Roster {
        let members = await app.globalChannel.getMembersByChannelName(.connector, guest.room)
        guard !members.isIncomplete, members.failed.isEmpty else { throw Fault(503) }
        let names = Set(members.uids.compactMap { Guest($0).map { Text($0.name) } }).union([Text(guest.name)])
        return ChatAPI.Roster(users: names.sorted().map(\.string), stale: members.stale.isEmpty ? nil : true)
    }
}

/// What connectors ask of the room's server.
struct ChatRemote: Handler {
    let app: Application
    var book: GuestBook?

    var routes: [ServedRoute] { on(ChatAPI.admit, admit) }

    /// Asks first; then it adds, then tells, then looks: of two who enter at once each hears of the other.
    func admit(_ ticket: ChatAPI.Ticket) async throws -> ChatAPI.Roster {
        guard let guest = Guest(ticket.uid) else { throw Fault(500) }
        try await Rooms.mayEnter(ticket, app)
        try await app.globalChannel.add(ticket.rid, ticket.uid, ticket.frontend)
        Rooms.entered(ticket, app)
        await Rooms.welcome(guest, app)
        var roster = try await ChatAPI.Roster.of(guest, app)
        roster.last = await book?.entered(guest)
        return roster
    }
}
