// SPDX-License-Identifier: MIT
import Logging
import PomeloCore
import PomeloLoop

/// Another server as this one calls it: the calls that wait, the connection, and how to get a new one.
///
/// A server that is up is kept connected and watched until it leaves the view, so that its death is noticed
/// without traffic. A suspect is dialled on and on: the first handshake that succeeds clears it.
@Loop final class Peer: CallerConnectionOwner, CallHolder {
    private enum Dialling {
        case idle
        case underWay
        case paused(TimerID)
    }

    /// A connection that lived this long was a good one: the next loss starts with the shortest pause again.
    private static let healthyAfter = Duration.seconds(10)

    let id: ServerID
    private(set) var target: ServerInfo
    private(set) var connection: OutboundConnection?
    private(set) var isSuspect = false
    private let table: ConnectionTable
    private var queue: [PendingCall] = []
    private var queuedBytes = 0
    private var leaving: [OutboundConnection] = []
    private var dialling = Dialling.idle
    /// Tells the attempt that counts from those overtaken by a change of target.
    private var lastAttempt = 0
    private var missedDials = 0
    private var backoff: Backoff
    private var isGone = false
    private lazy var sweep = DeadlineSweep(table.clock) { [unowned self] now in endOverdue(now) }

    init(_ table: ConnectionTable, _ target: ServerInfo) {
        self.table = table
        self.target = target
        id = target.id
        backoff = Backoff(
            first: table.options.reconnectAfter, limit: table.options.reconnectAtMost, settled: Self.healthyAfter)
    }

    var isIdle: Bool { queue.isEmpty }

    // MARK: calls

    func submit(_ call: PendingCall) {
        if isSuspect { return call.fail(.notSent("\(id) does not answer")) }
        let options = table.options
        let waiting = leaving.reduce(queue.count + (connection?.inFlight ?? 0)) { $0 + $1.inFlight }
        let bytes = queuedBytes + (connection?.queuedBytes ?? 0)
        guard waiting < options.maxInFlightPerPeer else {
            return refuse(call, "\(waiting) calls to \(id) are under way")
        }
        guard bytes == 0 || bytes + call.payload.count <= options.maxQueuedBytesPerPeer else {
            return refuse(call, "\(bytes) bytes wait to be sent to \(id)")
        }
        if let connection { return connection.send(call) }
        call.holder = self
        queue.append(call)
        queuedBytes += call.payload.count
        sweep.note(call.deadline)
        dial()
    }

    private func refuse(_ call: PendingCall, _ reason: String) {
        table.counters.overloaded += 1
        call.fail(.notSent("overloaded: " + reason))
    }

    func callerGaveUp(_ call: PendingCall) {
        dequeue(.notSent("the caller was cancelled")) { $0 === call }
    }

    private func endOverdue(_ now: UInt64) -> UInt64? {
        dequeue(.notSent("\(id) could not be reached in time")) { $0.deadline <= now }
        return queue.lazy.map(\.deadline).min()
    }

    private func dequeue(_ error: RPCError, where isOver: (PendingCall) -> Bool) {
        let over = queue.filter(isOver)
        guard !over.isEmpty else { return }
        queue.removeAll(where: isOver)
        queuedBytes = queue.reduce(0) { $0 + $1.payload.count }
        for call in over { call.fail(error) }
        table.settled()
    }

    /// Keeps the server connected, so that its death is noticed also by those who never call it: the gate.
    func watch() { dial() }

    private func failQueue(_ reason: String) { dequeue(.notSent(reason)) { _ in true } }

    // MARK: the connection

    private func dial() {
        guard case .idle = dialling, connection == nil, !isGone, !table.isStopped else { return }
        dialling = .underWay
        lastAttempt += 1
        let number = lastAttempt
        Loop.spawn { await self.connect(attempt: number) }
    }

    private func connect(attempt number: Int) async {
        let limit = table.clock.deadline(after: table.options.handshakeTimeout)
        let outcome = await table.open(target, expecting: target.instance, until: limit)
        // REENTRANCY: the server may have left or been replaced meanwhile; then another attempt counts.
        guard number == lastAttempt, !isGone, !table.isStopped else {
            if case .success(let connection) = outcome { connection.close() }
            return
        }
        dialling = .idle
        switch outcome {
        case .success(let connection) where connection.isOpen: adopt(connection)
        case .success: missed(.unreachable("the connection was closed at once"))
        case .failure(let failure): missed(failure)
        }
    }

    private func adopt(_ new: OutboundConnection) {
        connection = new
        new.owner = self
        missedDials = 0
        setSuspect(false)
        let waiting = queue
        queue = []
        queuedBytes = 0
        sweep.stop()
        for call in waiting { new.send(call) }
        table.settled()
    }

    private func missed(_ failure: HandshakeFailure) {
        missedDials += 1
        if missedDials == 1 {
            table.unreachable.write(["pomelo.server": "\(id)", "reason": "\(failure)"])
        }
        failQueue("cannot connect to \(id): \(failure)")
        if missedDials >= table.options.suspectAfterMisses { setSuspect(true) }
        dialAfterPause()
    }

    private func dialAfterPause() {
        let pause = table.context.random.jittered(backoff.failed(), by: 0.2)
        dialling = .paused(
            table.clock.schedule(after: pause) { [self] in
                dialling = .idle
                dial()
            })
    }

    private func setSuspect(_ suspect: Bool) {
        guard suspect != isSuspect else { return }
        isSuspect = suspect
        table.context.servers.setSuspect(id, suspect)
        if suspect {
            table.counters.suspicions += 1
            table.silent.write(["pomelo.server": "\(id)"])
            failQueue("\(id) does not answer")
        } else {
            table.answering.write(["pomelo.server": "\(id)"])
        }
    }

    func connectionIsLeaving(_ connection: OutboundConnection) {
        guard connection === self.connection else { return }
        self.connection = nil
        leaving.append(connection)
    }

    func connectionFellSilent(_ connection: OutboundConnection) {
        if !isGone { setSuspect(true) }
    }

    func connectionDidEnd(_ ended: OutboundConnection) {
        leaving.removeAll { $0 === ended }
        guard ended === connection else { return }
        connection = nil
        // A server that accepts and hangs up again must not be dialled in a tight loop.
        backoff.ended(after: table.clock.elapsed(since: ended.opened))
        if !isGone, !table.isStopped { dialAfterPause() }
    }

    // MARK: the view

    /// Notes where, and which instance, the server is now; a replaced one is left for the new one.
    func follow(_ info: ServerInfo) {
        let moved = info.record.host != target.record.host || info.record.port != target.record.port
        guard moved || info.instance != target.instance else {
            target = info
            return
        }
        abandon("\(id) was replaced by another instance")
        target = info
        dial()
    }

    /// The server has left the view, or this side stops.
    func leave(_ reason: String) {
        isGone = true
        abandon(reason)
    }

    private func abandon(_ reason: String) {
        lastAttempt += 1
        if case .paused(let timer) = dialling { table.clock.cancel(timer) }
        dialling = .idle
        missedDials = 0
        backoff.succeeded()
        if isSuspect {
            isSuspect = false
            table.context.servers.setSuspect(id, false)
        }
        failQueue(reason)
        connection?.leave()
        connection = nil
    }
}
