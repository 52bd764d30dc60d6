// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// A connection over which another server calls this one.
@Loop final class InboundConnection: ByteStreamDelegate {
    private enum Phase {
        case shaking(InboundHandshake)
        case open
        /// Finishes what it has begun.
        case draining
        case ended
    }

    /// A call that is being run.
    @Loop private final class Served {
        let id: UInt32
        let deadline: UInt64
        private(set) var isOver = false
        /// Of a procedure that may await.
        var queued: QueuedBody?

        init(_ id: UInt32, _ deadline: UInt64) {
            self.id = id
            self.deadline = deadline
        }

        /// Nobody waits for it any more; what still runs of it is cancelled.
        func end() {
            isOver = true
            queued?.cancel()
            queued = nil
        }
    }

    /// A call that was read and not begun.
    private struct Held {
        let id: UInt32
        let deadline: UInt64
        let procedure: Procedure
        let payload: Bytes
    }

    /// Pieces of long replies given to the stream ahead of the kernel; the rest waits behind short replies.
    private static let piecesAhead = 4

    private let table: ConnectionTable
    private let stream: any ByteStream
    private let serial: Int
    private let confirmAfter: UInt64
    private var phase: Phase
    private var reader = FrameReader(maxFrameBytes: RPCFrame.maxHelloBytes + 1)
    private var writer = FrameWriter()
    /// Set for a moment, until what is being read ends.
    private var newCipher: NoiseCipher?
    /// Not answered yet.
    private var calls: [UInt32: Served] = [:]
    /// Procedures that have not returned; more than `calls` after cancellations and deadlines.
    private var running = 0
    private var lastID: UInt32 = 0
    private var ages = AgeMeter()
    /// Calls in their order that may have been given up: they wait for the caller's answer to our ping.
    private var held: [Held] = []
    private var heldBytes = 0
    private var isConfirming = false
    private var pingToken: UInt64 = 0
    private var chunks = ChunkQueue()
    private var isPaused = false
    private var handshakeTimer: TimerID?
    /// Who calls, once it has proved the secret.
    private(set) var peer: Hello?
    private lazy var sweep = DeadlineSweep(table.clock) { [unowned self] now in answerOverdue(now) }
    /// When bytes last arrived; monotonic nanoseconds.
    private(set) var lastHeard: UInt64

    init(_ table: ConnectionTable, _ stream: any ByteStream) {
        self.table = table
        self.stream = stream
        serial = table.nextSerial()
        lastHeard = table.clock.now
        confirmAfter = table.options.confirmAfter.clampedNanoseconds
        let context = table.context
        let own = Challenge(server: context.own.id, instance: context.own.instance, nonce: table.nonce())
        phase = .shaking(
            InboundHandshake(
                cluster: context.cluster, own: own, secret: context.secret, sealedStart: table.sealedStart,
                mustSeal: table.mustSeal(stream)))
        table.inbound[serial] = self
        handshakeTimer = table.clock.schedule(after: table.options.handshakeTimeout) { [self] in
            refuse(.malformed, "no handshake in time")
        }
        stream.delegate = self
    }

    var isShaking: Bool { if case .shaking = phase { true } else { false } }
    /// Whether every call has its answer on the way.
    var isIdle: Bool { calls.isEmpty && held.isEmpty && chunks.isEmpty }

    // MARK: frames

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        lastHeard = table.clock.now
        // Procedures run while the reader does, so it must not be in its property.
        var reader = self.reader
        self.reader = FrameReader(maxFrameBytes: 0)
        let limit = table.options.maxFrameBytes
        do throws(WireError) {
            try reader.decode(copy bytes) { frame, maxFrameBytes in
                receive(frame)
                if !isShaking { maxFrameBytes = limit }
                if case .ended = phase { return false }
                return newCipher == nil
            }
        } catch {
            broke("\(error)")
        }
        if let cipher = newCipher { reader.seal(with: cipher) }
        newCipher = nil
        if case .ended = phase { return }
        self.reader = reader
        limitOutput()
    }

    private func receive(_ frame: RPCFrame) {
        switch (phase, frame) {
        case (.shaking(var handshake), _):
            let step = handshake.receive(frame)
            phase = .shaking(handshake)
            shake(step)
        case (.open, .call(let id, let sent, let remaining, let target, let payload)):
            take(id, age(of: sent), remaining, Procedure(target), payload)
        // The caller learns from the goAway frame that later calls are not run.
        case (.draining, .call): break
        case (_, .cancel(let id)): cancel(id)
        case (_, .ping(let token, let sent)):
            let isLate = age(of: sent) > confirmAfter
            write(.pong(token: token, instance: table.context.own.instance.rawValue))
            if let peer, let token = PingToken(rawValue: token), !isLate { table.pinged(by: peer, token) }
        case (_, .pong(let token, _)):
            if token == pingToken { confirmed() }
        default: broke("a caller does not send this frame")
        }
    }

    private func shake(_ step: InboundHandshake.Step) {
        switch step {
        case .send(let frame): write(frame)
        case .seal(let frame, let keys):
            write(frame)
            writer.seal(with: keys.sending)
            newCipher = keys.receiving
        case .refuse(let refusal, let reason): refuse(refusal, reason)
        case .established(let peer, let frames):
            if let handshakeTimer { table.clock.cancel(handshakeTimer) }
            handshakeTimer = nil
            // What waits in older connections of this server may have been given up with them.
            for older in table.inbound.values where older.peer?.server == peer.server { older.confirm() }
            self.peer = peer
            _ = age(of: peer.sent)
            phase = .open
            for frame in frames { write(frame) }
        }
    }

    private func refuse(_ refusal: Refusal, _ reason: String) {
        table.noteRefusal(of: stream.remoteAddress, reason)
        write(.refused(code: refusal.rawValue, reason: reason))
        close()
    }

    private func broke(_ reason: String) {
        if isShaking { return refuse(.malformed, reason) }
        table.noteViolation(by: stream.remoteAddress.description, reason)
        close()
    }

    // MARK: calls

    private func take(_ id: UInt32, _ age: UInt64, _ remaining: UInt32, _ procedure: Procedure, _ payload: Bytes) {
        guard id > lastID else { return broke("call numbers must grow") }
        lastID = id
        let left = UInt64(remaining) * 1_000_000
        guard left > age else { return dropLate(id) }
        guard running + held.count < table.options.maxInFlightPerPeer else {
            return notExecuted(id, "overloaded: \(running) calls are being run")
        }
        let call = Held(id: id, deadline: table.clock.now &+ (left - age), procedure: procedure, payload: payload)
        guard isConfirming else { return begin(call) }
        guard held.isEmpty || heldBytes + payload.count <= table.options.maxQueuedBytesPerPeer else {
            return notExecuted(id, "overloaded: \(heldBytes) bytes of calls wait")
        }
        held.append(call)
        heldBytes += payload.count
        sweep.note(call.deadline)
    }

    private func begin(_ taken: Held) {
        guard let peer else { return }
        table.counters.served += 1
        running += 1
        let call = Served(taken.id, taken.deadline)
        let caller = RPCCaller(server: peer.server, instance: peer.instance, deadline: call.deadline)
        call.queued = table.context.procedures.run(taken.procedure, caller, taken.payload) { outcome in
            self.finish(call, outcome)
        }
        if !call.isOver {
            calls[call.id] = call
            sweep.note(call.deadline)
        }
    }

    // MARK: calls that may have been given up

    /// How old a frame is; an old one has the caller asked about what came with it.
    private func age(of sent: UInt64) -> UInt64 {
        let age = ages.age(sent: sent, at: table.clock.now)
        if age > confirmAfter { confirm() }
        return age
    }

    /// Begins no further call before the caller has answered a ping.
    ///
    /// What it has given up it has cancelled before its answer, or its connection is cut and there is no answer.
    private func confirm() {
        guard case .open = phase, !isConfirming else { return }
        isConfirming = true
        pingToken += 1
        write(.ping(token: pingToken, sent: table.clock.now))
    }

    private func confirmed() {
        isConfirming = false
        let awaited = takeHeld { _ in true }
        for call in awaited {
            if call.deadline > table.clock.now { begin(call) } else { dropLate(call.id) }
        }
    }

    private func takeHeld(where isMeant: (Held) -> Bool) -> [Held] {
        let taken = held.filter(isMeant)
        held.removeAll(where: isMeant)
        heldBytes = held.reduce(0) { $0 + $1.payload.count }
        return taken
    }

    private func dropLate(_ id: UInt32) {
        table.counters.late += 1
        notExecuted(id, "its time was over before it began")
    }

    private func finish(_ call: Served, _ outcome: Result<Bytes, RPCError>) {
        running -= 1
        if outcome.isLate { table.counters.late += 1 }
        guard !call.isOver else { return }
        end(call)
        if outcome.isLate { return notExecuted(call.id, "its time was over before it began") }
        answer(call.id, outcome.crossing(limit: table.options.maxFrameBytes))
        if case .draining = phase { table.settled() }
    }

    private func end(_ call: Served) {
        call.end()
        calls.removeValue(forKey: call.id)
    }

    private func cancel(_ id: UInt32) {
        if let call = calls[id] {
            end(call)
        } else {
            table.counters.late += takeHeld { $0.id == id }.count
            chunks.remove(id)
        }
        table.settled()
    }

    private func answerOverdue(_ now: UInt64) -> UInt64? {
        for id in calls.filter({ $0.value.deadline <= now }).keys.sorted() {
            guard let call = calls[id] else { continue }
            end(call)
            answer(id, .failure(.failed(code: 504, message: "no answer within the deadline")))
        }
        for call in takeHeld(where: { $0.deadline <= now }) { dropLate(call.id) }
        table.settled()
        return (calls.values.map(\.deadline) + held.map(\.deadline)).min()
    }

    private func notExecuted(_ id: UInt32, _ reason: String) {
        fail(id, 503, reason, .notExecuted)
    }

    // MARK: replies

    private var queuedBytes: Int { stream.queuedBytes + chunks.bytes }

    private func answer(_ id: UInt32, _ outcome: Result<Bytes, RPCError>) {
        switch outcome {
        case .success(let reply):
            guard queuedBytes == 0 || queuedBytes + reply.count <= table.options.maxQueuedBytesPerPeer else {
                return fail(id, 503, "executed, but \(queuedBytes) bytes wait before the reply")
            }
            if reply.count <= table.options.chunkBytes {
                write(.reply(id: id, reply))
            } else {
                chunks.append(id, reply)
                sendChunks()
            }
        case .failure(.failed(let code, let message)): fail(id, code, message)
        case .failure(.fault(let code, let message)): fail(id, code, message, .fault)
        case .failure(.unimplemented(let what)): fail(id, 501, what, .unimplemented)
        case .failure(let error): fail(id, 500, error.description)
        }
        limitOutput()
    }

    private func fail(_ id: UInt32, _ code: Int, _ message: String, _ kind: FailureKind = .failed) {
        // Messages are for people; a longer one would only cost memory on both sides.
        let short = message.utf8.count <= 4096 ? message : String(message.prefix(1024))
        write(.failure(id: id, kind: kind.rawValue, code: Int32(clamping: code), message: short))
    }

    private func sendChunks() {
        let size = max(1, table.options.chunkBytes)
        while stream.queuedBytes < Self.piecesAhead * size, let chunk = chunks.next(upTo: size) {
            write(.replyChunk(id: chunk.id, last: chunk.last, chunk.bytes))
        }
    }

    /// A caller that does not read its answers is not read from either.
    private func limitOutput() {
        let isFull = queuedBytes > table.options.maxQueuedBytesPerPeer / 2
        guard isFull != isPaused else { return }
        if case .ended = phase { return }
        isPaused = isFull
        if isFull { stream.pauseReading() } else { stream.resumeReading() }
    }

    func streamDidDrain(_ stream: any ByteStream) {
        sendChunks()
        limitOutput()
        table.settled()
    }

    private func write(_ frame: RPCFrame) {
        if case .ended = phase { return }
        table.write(frame, to: stream, &writer)
    }

    // MARK: the end

    var remoteHost: String { stream.remoteAddress.host }

    /// Ends a handshake that stands in the way of others; nobody is told, for nobody may be listening.
    func giveWay() {
        table.noteRefusal(of: stream.remoteAddress, "too many connections without a handshake")
        ended()
        stream.close()
    }

    /// Tells the caller that later calls are not run; those begun are finished.
    func goAway() {
        switch phase {
        case .shaking: close()
        case .open:
            write(.goAway(lastID: lastID))
            phase = .draining
        case .draining, .ended: break
        }
    }

    /// Closes in order: what was written still leaves; procedures under way are cancelled, and answer nobody.
    func close() {
        if case .ended = phase { return }
        ended()
        stream.closeAfterFlush(within: ConnectionTable.closeTimeout)
    }

    private func ended() {
        phase = .ended
        // Its keys are forgotten with the connection.
        reader = FrameReader(maxFrameBytes: 0)
        writer.seal(with: nil)
        if let handshakeTimer { table.clock.cancel(handshakeTimer) }
        handshakeTimer = nil
        sweep.stop()
        for call in calls.values { call.end() }
        calls = [:]
        table.counters.late += takeHeld { _ in true }.count
        chunks = ChunkQueue()
    }

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        table.inbound[serial] = nil
        ended()
        table.settled()
    }
}
