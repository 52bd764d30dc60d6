// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop

/// Asks the servers of the configuration who is there, to find those that live and are missing from the view.
///
/// A registry that has lost its data lists few or none, and all of them come back within one renewal period; a server
/// that begins to serve before would not reach those that are still to come.
@Loop final class RollCall {
    private let records: [ServerRecord]
    private let servers: ServerDirectory
    private let transport: any RPCTransport
    private let clock: any LoopClock
    private let log: Logger
    /// How long one that has answered is waited for.
    private let memory: Duration
    private var answered: [ServerID: UInt64] = [:]

    init(
        _ records: [ServerRecord], _ servers: ServerDirectory, _ transport: any RPCTransport, clock: any LoopClock,
        log: Logger, memory: Duration
    ) {
        // A port that is left open is known to nobody but the registry.
        self.records = records.filter { $0.port != 0 }
        self.servers = servers
        self.transport = transport
        self.clock = clock
        self.log = log
        self.memory = memory
    }

    /// Those that have answered and are not in the view, sorted.
    var missing: [ServerID] {
        if answered.isEmpty { return [] }
        answered = answered.filter { servers[$0.key] == nil && clock.now < $0.value }
        return answered.keys.sorted()
    }

    /// Asks all that are not in the view, at once; returns when all have answered, or after `deadline`.
    ///
    /// - Throws: `PomeloError` `.configuration` when one of them refuses the cluster secret.
    func ask(within deadline: Duration) async throws {
        let absent = records.filter { servers[$0.id] == nil }
        guard !absent.isEmpty else { return }
        let asking = Asking(absent.count)
        for record in absent {
            Loop.spawn {
                asking.end(with: await self.ask(record))
            }
        }
        let timer = clock.schedule(after: deadline) { asking.giveUp() }
        await asking.ended()
        clock.cancel(timer)
        if let refusal = asking.refusal { throw refusal }
    }

    private func ask(_ record: ServerRecord) async -> PomeloError? {
        do {
            try await transport.proveSecret(to: ServerInfo(record: record, instance: "", state: .up))
            answered[record.id] = clock.deadline(after: memory)
        } catch let error as PomeloError where error.code == .configuration {
            return error
        } catch {
            log.debug("not there", metadata: ["pomelo.peer": "\(record.id)", "pomelo.reason": "\(error)"])
        }
        return nil
    }
}

/// Questions under way.
@Loop private final class Asking {
    private var open: Int
    private let over = FirstOutcome<Void>()
    private(set) var refusal: PomeloError?

    init(_ count: Int) { open = count }

    func end(with refusal: PomeloError?) {
        self.refusal = self.refusal ?? refusal
        open -= 1
        if open == 0 { giveUp() }
    }

    func giveUp() { over.end() }

    func ended() async { await over.wait() }
}
