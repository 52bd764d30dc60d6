// SPDX-License-Identifier: MIT
import PomeloCore
import PomeloLoop
import PomeloPublication

/// What frontends answer about their channels; beside it `PresenceQuestions`.
///
/// ```
/// add, leave, addDevice, leaveDevice   channel text | user id or session id text      → empty
/// members      channel text | number u64 to go on behind, or 0     → number u64 to go on with, or 0 | user ids texts
/// pushAll      a `ChannelPush`                                                         → a report
/// gone         `GoneWords`                                                             → a report
/// missed       instance text | all u32: 1 or 0 | channels texts                        → empty
/// destroy      channel text                                                            → a report
/// departed     `Departed`                                                              → empty, when it was told
/// ```
@Loop struct ChannelProcedures {
    static let pageLength = 1000
    let service: GlobalChannelService

    func register(in table: ProcedureTable) {
        membership(table, .channelAdd) { try service.channels.add(UserID($1), to: $0) }
        membership(table, .channelLeave) { service.channels.leave(UserID($1), $0) }
        membership(table, .channelAddDevice) {
            try service.channels.add(device: SessionID(UInt64($1) ?? 0), to: $0)
        }
        membership(table, .channelLeaveDevice) {
            service.channels.leave(device: SessionID(UInt64($1) ?? 0), $0)
        }
        table.immediate(.channelMembers) { _, payload in
            var reader = PayloadReader(payload)
            return page(ChannelName(try reader.text()), after: try reader.number())
        }
        table.replying(.channelPushAll) { _, payload, reply in
            try service.deliver(try ChannelPush(payload)) { reply(.success(Fanout.encode($0))) }
        }
        table.replying(.channelGone) { _, payload, reply in
            let own = service.context.serverID
            let words = try GoneWords(payload, at: own)
            try service.passOn(words, words.fences[own]) { reply(.success(Fanout.encode($0))) }
        }
        table.immediate(.channelMissed) { _, payload in
            var reader = PayloadReader(payload)
            guard InstanceID(try reader.text()) == service.context.instance else { return [] }
            let isAll = try reader.count() == 1
            let names = try reader.texts().map { ChannelName($0) }
            service.gaps.note(isAll ? nil : names)
            return []
        }
        table.immediate(.channelDestroy) { _, payload in
            var reader = PayloadReader(payload)
            service.channels.destroy(ChannelName(try reader.text()))
            return Fanout.encode(PushReport())
        }
        table.suspending(.channelFlush, addressed: true) { _, _ in
            guard await service.writer.flushed() else {
                throw PomeloError(.redisUnavailable, "the memberships are not published yet")
            }
            return []
        }
        // Not a task of the call's: it goes on when the caller waits no longer.
        table.replying(.channelDeparted) { _, payload, reply in
            let departed = try Departed(payload)
            service.departures.begin {
                await service.hear(departed)
                reply(.success([]))
            }
        }
        service.registerQuestions(in: table)
    }

    private func membership(
        _ table: ProcedureTable, _ procedure: Procedure, _ body: @escaping @Loop (ChannelName, String) throws -> Void
    ) {
        table.immediate(procedure, addressed: true) { _, payload in
            var reader = PayloadReader(payload)
            let channel = ChannelName(try reader.text())
            try body(channel, try reader.text())
            return []
        }
    }

    private func page(_ channel: ChannelName, after number: UInt64) -> [UInt8] {
        let page = service.channels[channel]?.page(after: number, length: Self.pageLength) ?? (uids: [], next: nil)
        var payload = PayloadWriter()
        payload.number(page.next ?? 0)
        payload.texts(page.uids.map(\.rawValue))
        return payload.bytes
    }
}

/// The numbers of this room.
extension Procedure {
    static let channelAdd = Procedure(64, "channel.add")
    static let channelLeave = Procedure(65, "channel.leave")
    static let channelAddDevice = Procedure(66, "channel.addDevice")
    static let channelLeaveDevice = Procedure(67, "channel.leaveDevice")
    static let channelMembers = Procedure(68, "channel.members")
    static let channelPushAll = Procedure(69, "channel.pushAll")
    static let channelGone = Procedure(70, "channel.gone")
    static let channelMissed = Procedure(71, "channel.missed")
    static let channelDestroy = Procedure(72, "channel.destroy")
    static let channelFlush = Procedure(73, "channel.flush")
    static let channelDeparted = Procedure(74, "channel.departed")
    static let channelFence = Procedure(75, "channel.fence")
    static let channelPresent = Procedure(76, "channel.present")
    static let channelTold = Procedure(77, "channel.told")
    static let channelToldGone = Procedure(78, "channel.toldGone")
}
