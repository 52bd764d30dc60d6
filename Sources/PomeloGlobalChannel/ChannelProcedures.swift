// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop

/// What frontends answer about their channels.
///
/// ```
/// add, leave, addDevice, leaveDevice   channel text | user id or session id text      → empty
/// members      channel text | last user id of the page before, or empty                → user ids texts
/// pushAll      channel text | route text | excepted user ids texts | body to the end   → a report
/// destroy      channel text                                                            → a report
/// lost         channel text | server text | user ids texts                             → empty
/// ```
@Loop struct ChannelProcedures {
    static let pageLength = 1000
    let service: GlobalChannelService

    func register(in table: ProcedureTable) {
        membership(table, "sys/channel.add") { try service.channels.add(UserID($1), to: $0) }
        membership(table, "sys/channel.leave") { service.channels.leave(UserID($1), $0) }
        membership(table, "sys/channel.addDevice") {
            try service.channels.add(device: SessionID(UInt64($1) ?? 0), to: $0)
        }
        membership(table, "sys/channel.leaveDevice") {
            service.channels.leave(device: SessionID(UInt64($1) ?? 0), $0)
        }
        table.immediate("sys/channel.members") { _, payload in
            var reader = PayloadReader(payload)
            return page(ChannelName(try reader.text()), after: try reader.text())
        }
        table.replying("sys/channel.pushAll") { _, payload, reply in
            var reader = PayloadReader(payload)
            let channel = ChannelName(try reader.text())
            let route = try reader.text()
            let except = Set(try reader.texts().map { UserID($0) })
            let message = try PushMessage(route: route, body: try reader.rest())
            guard let owned = service.channels[channel] else { return reply(.success(Fanout.encode(PushReport()))) }
            service.application.pushSchedulers.assign(message)
            owned.push(message, except: except) { reply(.success(Fanout.encode($0))) }
        }
        table.immediate("sys/channel.destroy") { _, payload in
            var reader = PayloadReader(payload)
            service.channels.destroy(ChannelName(try reader.text()))
            return Fanout.encode(PushReport())
        }
        table.suspending("sys/channel.flush", addressed: true) { _, _ in
            guard await service.writer.flushed() else {
                throw PomeloError(.redisUnavailable, "the memberships are not published yet")
            }
            return []
        }
        table.suspending("sys/channel.lost") { _, payload in
            var reader = PayloadReader(payload)
            let channel = ChannelName(try reader.text())
            let server = ServerID(try reader.text())
            let uids = try reader.texts().map { UserID($0) }
            await service.raiseLost(LostMembers(channel: channel, uids: uids, server: server))
            return []
        }
    }

    private func membership(
        _ table: ProcedureTable, _ name: String, _ body: @escaping @Loop (ChannelName, String) throws -> Void
    ) {
        table.immediate(name, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            let channel = ChannelName(try reader.text())
            try body(channel, try reader.text())
            return []
        }
    }

    /// Members in order of their ids, after the last of the page before.
    private func page(_ channel: ChannelName, after last: String) -> [UInt8] {
        let members = service.channels.members(channel).map(\.rawValue)
        let rest = last.isEmpty ? members[...] : members.drop { $0 <= last }
        var payload = PayloadWriter()
        payload.texts(Array(rest.prefix(Self.pageLength)))
        return payload.bytes
    }
}
