// SPDX-License-Identifier: MIT
import Logging
public import PomeloCore
import PomeloLoop

/// Channels whose members at this frontend may have missed pushes.
public struct MissedPushes: Sendable {
    /// Channels that have members here, sorted.
    public let channels: [ChannelName]
}

/// Which frontends did not confirm pushes to which channels, and the word to them, until they confirm that.
///
/// ```
/// channel.missed   instance text | all u32: 1 or 0 | channel texts   → empty
/// ```
///
/// What waits for a frontend is a name per channel, and beyond a bound "all"; it ends with the frontend's instance,
/// whose clients have lost their connections then.
@Loop final class MissedNotes {
    /// Channels of one frontend that are told one by one.
    static let limit = 1024
    private static let backoff = Backoff(first: .milliseconds(250), limit: .seconds(2))

    private struct Note {
        var instance: InstanceID
        var channels: Set<ChannelName> = []
        var isAll = false
        var failures = 0
        var isUnderWay = false
    }

    private let context: ServiceContext
    private var notes: [ServerID: Note] = [:]
    private var isStopped = false

    init(_ context: ServiceContext) { self.context = context }

    /// Frontends that are to be told.
    var count: Int { notes.count }

    func note(_ channel: ChannelName, at server: ServerID) {
        guard !isStopped, let instance = context.servers[server]?.instance else { return }
        if notes[server]?.instance != instance {
            notes[server] = Note(instance: instance, isUnderWay: notes[server]?.isUnderWay ?? false)
        }
        guard notes[server]?.isAll == false else { return }
        notes[server]?.channels.insert(channel)
        if notes[server]?.channels.count ?? 0 > Self.limit {
            notes[server]?.channels = []
            notes[server]?.isAll = true
        }
        begin(server)
    }

    /// Tells once more what is left, and nothing further.
    func stop() async {
        isStopped = true
        let left = notes
        notes = [:]
        await withTaskGroup(of: Void.self) { group in
            for (server, note) in left where context.servers[server]?.instance == note.instance {
                group.addTask { @Loop @Sendable in
                    do throws(RPCError) {
                        try await self.call(server, note)
                    } catch {
                        self.context.log.warning("\(server) was not told what it has missed: \(error)")
                    }
                }
            }
        }
    }

    private func begin(_ server: ServerID) {
        guard notes[server]?.isUnderWay == false else { return }
        notes[server]?.isUnderWay = true
        Loop.spawn { await self.tell(server) }
    }

    private func tell(_ server: ServerID) async {
        while let note = notes[server] {
            // At once is too soon: it has just not answered, which is a failure too.
            let pause = Self.backoff.pause(after: note.failures + 1)
            await context.clock.sleep(for: context.random.jittered(pause))
            guard let note = notes[server] else { return }
            guard context.servers[server]?.instance == note.instance else { break }
            notes[server]?.channels = []
            notes[server]?.isAll = false
            do throws(RPCError) {
                try await call(server, note)
                notes[server]?.failures = 0
                // REENTRANCY: what was missed during the call is told by one more.
                if notes[server]?.channels.isEmpty ?? true, notes[server]?.isAll != true { break }
            } catch {
                guard var later = notes[server], later.instance == note.instance else { continue }
                later.channels.formUnion(note.channels)
                later.isAll = later.isAll || note.isAll
                later.failures += 1
                notes[server] = later
            }
        }
        notes[server] = nil
    }

    private func call(_ server: ServerID, _ note: Note) async throws(RPCError) {
        var payload = PayloadWriter()
        payload.text(note.instance.rawValue)
        payload.count(note.isAll ? 1 : 0)
        payload.texts(note.channels.map(\.rawValue))
        _ = try await context.rpc.system(
            server, .channelMissed, payload.bytes, within: context.limits.pushCall)
    }
}

/// What the members here may have missed, gathered for a moment: one pause is noticed by many.
@Loop final class Gaps {
    private static let gathering = Duration.milliseconds(200)

    private let channels: OwnedChannels
    private let clock: any LoopClock
    private var missed: Set<ChannelName> = []
    private var isAll = false
    private var timer: TimerID?
    var listeners: [@Loop (MissedPushes) -> Void] = []
    /// Hears first, of all names whether anybody is a member here or not; nil for all channels.
    var raised: @Loop (Set<ChannelName>?) -> Void = { _ in }

    init(_ channels: OwnedChannels, _ clock: any LoopClock) {
        self.channels = channels
        self.clock = clock
    }

    /// Some channels, or all.
    func note(_ names: [ChannelName]?) {
        if let names { missed.formUnion(names) } else { isAll = true }
        if missed.count > PresenceLog.limit { isAll = true }
        if isAll { missed = [] }
        guard timer == nil, isAll || !missed.isEmpty else { return }
        timer = clock.schedule(after: Self.gathering) { [weak self] in self?.raise() }
    }

    func stop() {
        if let timer { clock.cancel(timer) }
        listeners = []
    }

    private func raise() {
        let names = isAll ? Set(channels.names) : missed.filter { channels[$0] != nil }
        raised(isAll ? nil : missed)
        (timer, missed, isAll) = (nil, [], false)
        let gap = MissedPushes(channels: names.sorted())
        if !names.isEmpty { for listener in listeners { listener(gap) } }
    }
}
