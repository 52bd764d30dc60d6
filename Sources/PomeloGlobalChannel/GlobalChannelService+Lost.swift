// SPDX-License-Identifier: MIT
import Logging
import PomeloBytes
public import PomeloCore
import PomeloLoop

/// Memberships that ended at one server, in one channel, on their way to the server that judges and hears of it.
///
/// ```
/// channel text | server text, instance text | whether the server is gone u32: 1 or 0
/// | count u32 | for each: uid text, ending
/// ending: number u64 (0: all of that start), whether its beginning was untold u32: 1 or 0
/// ```
struct Departed {
    let channel: ChannelName
    let endings: [UserID: Ending]
    /// Set when it is being cleaned up.
    var gone: ServerID?

    init(channel: ChannelName, endings: [UserID: Ending]) {
        self.channel = channel
        self.endings = endings
    }

    init(channel: ChannelName, _ uids: [UserID], lostWith server: ServerID, _ instance: InstanceID) {
        self.channel = channel
        let ending = Ending(server: server, instance: instance, number: nil)
        endings = Dictionary(uids.map { ($0, ending) }) { first, _ in first }
        gone = server
    }

    init(_ payload: Bytes) throws(PomeloError) {
        var reader = PayloadReader(payload)
        channel = ChannelName(try reader.text())
        let (server, instance) = (ServerID(try reader.text()), InstanceID(try reader.text()))
        if try reader.count() == 1 { gone = server }
        var endings: [UserID: Ending] = [:]
        for _ in 0..<(try reader.count()) {
            let uid = UserID(try reader.text())
            endings[uid] = try reader.ending(server, instance)
        }
        self.endings = endings
    }

    var payload: Bytes {
        var payload = PayloadWriter()
        let place = endings.values.first
        payload.text(channel.rawValue)
        payload.text(place?.server.rawValue ?? "")
        payload.text(place?.instance.rawValue ?? "")
        payload.count(gone == nil ? 0 : 1)
        payload.count(endings.count)
        for (uid, ending) in endings {
            payload.text(uid.rawValue)
            payload.ending(ending)
        }
        return payload.bytes
    }
}

extension PayloadWriter {
    mutating func ending(_ ending: Ending?) {
        number(ending?.number ?? 0)
        count(ending?.isUntold == true ? 1 : 0)
    }
}

extension PayloadReader {
    mutating func ending(_ server: ServerID, _ instance: InstanceID) throws(PomeloError) -> Ending {
        let number = try number()
        return Ending(
            server: server, instance: instance, number: number == 0 ? nil : number, isUntold: try count() == 1)
    }
}

/// Memberships that ended, on their way to who hears of it.
extension GlobalChannelService {
    /// One live server of the chosen type judges and hears of it; this one when there is none or it does not answer.
    func passOn(_ departed: Departed) async {
        let choices = options.goneServerType.map { context.servers.choices($0) } ?? []
        let target = choices.isEmpty ? context.serverID : Router.hashed(departed.channel.rawValue, choices)
        guard target != context.serverID else { return await hear(departed) }
        do {
            _ = try await context.rpc.system(target, .channelDeparted, departed.payload)
        } catch {
            // It may have begun: those who are told twice are told once by their frontend.
            context.log.notice("departures are judged here", metadata: ["error": "\(error)"])
            await hear(departed)
        }
    }

    /// Judges, and tells those who listen.
    func hear(_ departed: Departed) async {
        guard !listeners.gone.isEmpty,
            let gone = await departures.judge(departed.channel, departed.endings, gone: departed.gone)
        else { return }
        for listener in listeners.gone { await listener(gone) }
    }
}

extension GlobalChannelService: LeaseCleaner {
    /// Channels whose loss is passed on at the same time.
    private static let tellersLimit = 64

    /// Removes what a gone server had published, and tells beside that who was lost with it.
    ///
    /// - Throws: what the store and `proceed` throw; then it is to be called again.
    public func cleanUp(
        _ server: ServerID, instance: InstanceID, proceed: @escaping @Loop () async throws -> Void
    ) async throws {
        let tellers = Slots(Self.tellersLimit)
        try await store.cleanUp(server, instance: instance, proceed: proceed) { channel, uids in
            for start in stride(from: 0, to: uids.count, by: Departures.batchLength) {
                let part = Array(uids[start..<min(start + Departures.batchLength, uids.count)])
                await tellers.take()
                self.departures.begin {
                    await self.passOn(Departed(channel: channel, part, lostWith: server, instance))
                    tellers.giveBack()
                }
            }
        }
    }
}

/// So much at the same time, and no more.
@Loop private final class Slots {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(_ count: Int) { free = count }

    func take() async {
        await withCheckedContinuation { waiter in
            guard free == 0 else {
                free -= 1
                return waiter.resume()
            }
            waiting.append(waiter)
        }
    }

    func giveBack() {
        if waiting.isEmpty { free += 1 } else { waiting.removeFirst().resume() }
    }
}
