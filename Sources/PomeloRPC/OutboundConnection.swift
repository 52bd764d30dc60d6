// SPDX-License-Identifier: MIT
import PomeloBytes
import PomeloCore
import PomeloLoop
import PomeloWire

/// Told what becomes of a connection; each is called at most once.
@Loop protocol CallerConnectionOwner: AnyObject {
    /// It takes no further calls; those under way go on.
    func connectionIsLeaving(_ connection: OutboundConnection)
    /// The peer has stopped answering; `connectionDidEnd` follows.
    func connectionFellSilent(_ connection: OutboundConnection)
    func connectionDidEnd(_ connection: OutboundConnection)
}

/// What a ping says that is sent after silence; others ask a question of their own and are numbered.
enum PingToken: UInt64 {
    /// All before it were answered.
    case first = 0
    /// The one before it was not answered.
    case again = 0xffff_ffff_ffff_ffff
}

/// A connection over which this server calls another.
@Loop final class OutboundConnection: ByteStreamDelegate, CallHolder {
    private enum Phase { case shaking, open, leaving, ended }

    private let table: ConnectionTable
    private let stream: any ByteStream
    private let serial: Int
    private let peer: ServerID
    private var handshake: OutboundHandshake
    private let shaking = FirstOutcome<Result<Void, HandshakeFailure>>()
    private var phase = Phase.shaking
    private var reader = FrameReader(maxFrameBytes: RPCFrame.maxHelloBytes + 1)
    private var writer = FrameWriter()
    /// Set for a moment, until what is being read ends.
    private var newCipher: NoiseCipher?
    private var calls: [UInt32: PendingCall] = [:]
    private var lastID: UInt32 = 0
    private var meter: SilenceMeter
    private let leeway: UInt64
    private var timer: TimerID?
    private var written = 0
    private var takenBefore = 0
    private var pings: [UInt64: CheckedContinuation<PingAnswer, Never>] = [:]
    private var lastToken: UInt64 = 0
    private lazy var sweep = DeadlineSweep(table.clock) { [unowned self] now in endOverdue(now) }

    /// Until the end.
    var owner: (any CallerConnectionOwner)?
    /// The instance that has proved the secret.
    private(set) var instance: InstanceID?
    /// Monotonic nanoseconds.
    let opened: UInt64

    init(_ table: ConnectionTable, _ stream: any ByteStream, _ hello: Hello) {
        self.table = table
        self.stream = stream
        serial = table.nextSerial()
        peer = hello.callee
        handshake = OutboundHandshake(
            hello, secret: table.context.secret, sealedStart: table.mustSeal(stream) ? table.sealedStart : nil)
        opened = table.clock.now
        let options = table.options
        // Of two servers one is a little faster, so that its pings serve both.
        let isFirst = table.context.own.id < peer
        let interval = options.pingInterval.clampedNanoseconds
        leeway = isFirst ? interval / 6 : 0
        meter = SilenceMeter(
            interval: isFirst ? interval / 5 * 4 : interval,
            timeout: options.pingTimeout.clampedNanoseconds,
            limit: options.suspectAfterMisses, longest: options.callerSilence.clampedNanoseconds / 3, now: opened)
        table.outbound[serial] = self
    }

    var isOpen: Bool { phase == .open }
    var inFlight: Int { calls.count }
    var queuedBytes: Int { stream.queuedBytes }

    // MARK: handshake

    func shakeHands(until limit: UInt64) async throws(HandshakeFailure) {
        timer = table.clock.schedule(at: limit) { [self] in
            shook(.failure(.unreachable("no answer to the handshake in time")))
        }
        stream.delegate = self
        take(handshake.start())
        try await shaking.wait().get()
    }

    private func take(_ step: OutboundHandshake.Step) {
        switch step {
        case .send(let frame): write(frame)
        case .seal(let keys, let frame):
            writer.seal(with: keys.sending)
            newCipher = keys.receiving
            write(frame)
        case .wait: break
        case .established(let instance):
            self.instance = instance
            phase = .open
            shook(.success(()))
            meter.heard(at: table.clock.now)
            watch()
        case .failed(let failure):
            shook(.failure(failure))
        }
    }

    private func shook(_ outcome: Result<Void, HandshakeFailure>) {
        guard shaking.end(with: outcome) else { return }
        if let timer { table.clock.cancel(timer) }
        timer = nil
        if case .failure = outcome { end("handshake failed") }
    }

    // MARK: calls

    /// Sends a call; only while open.
    func send(_ call: PendingCall) {
        let remaining = table.clock.left(until: call.deadline)
        let milliseconds = (remaining.clampedNanoseconds + 999_999) / 1_000_000
        guard milliseconds > 0 else { return call.fail(.notSent("the deadline has passed")) }
        let id = lastID + 1
        let frame = RPCFrame.call(
            id: id, sent: table.clock.now, remainingMilliseconds: UInt32(clamping: milliseconds),
            RPCFrameTarget(call.procedure), payload: call.payload)
        guard write(frame) else { return call.fail(.notSent("the name of the procedure is too long")) }
        lastID = id
        table.counters.sent += 1
        call.payload = []
        call.id = id
        call.holder = self
        calls[id] = call
        sweep.note(call.deadline)
        // Numbers are never reused on a connection; the next call finds a new one.
        if id == .max - 1 { leave() }
    }

    func callerGaveUp(_ call: PendingCall) { abandon(call, "the caller was cancelled") }

    private func abandon(_ call: PendingCall, _ reason: String) {
        guard let id = call.id, calls.removeValue(forKey: id) != nil else { return }
        write(.cancel(id: id))
        call.fail(.maybeExecuted(reason))
        ended()
    }

    private func endOverdue(_ now: UInt64) -> UInt64? {
        for id in calls.filter({ $0.value.deadline <= now }).keys.sorted() {
            if let call = calls[id] { abandon(call, "\(peer) did not answer in time") }
        }
        return calls.values.map(\.deadline).min()
    }

    private func settle(_ id: UInt32, _ outcome: Result<Bytes, RPCError>) {
        // Unknown: it was given up, and the answer crossed the cancel frame.
        guard let call = calls.removeValue(forKey: id) else { return }
        call.complete(outcome)
        ended()
    }

    private func ended() {
        if phase == .leaving, calls.isEmpty { close() }
        table.settled()
    }

    private func gather(_ id: UInt32, _ last: Bool, _ piece: Bytes) {
        guard let call = calls[id] else { return }
        guard call.partialReply.count + piece.count <= table.options.maxFrameBytes else {
            return violated("a reply has more than \(table.options.maxFrameBytes) bytes")
        }
        call.partialReply += piece
        if last { settle(id, .success(call.partialReply)) }
    }

    private func failed(_ id: UInt32, _ kind: UInt8, _ code: Int32, _ message: String) {
        let error: RPCError =
            switch FailureKind(rawValue: kind) {
            case .notExecuted: .notSent(message)
            case .unimplemented: .unimplemented(message)
            case .fault: .fault(code: Int(code), message: message)
            case .failed, nil: .failed(code: Int(code), message: message)
            }
        settle(id, .failure(error))
    }

    // MARK: liveness

    enum PingAnswer {
        case answered(InstanceID)
        case silent
        case ended
    }

    /// Asks for a sign of life; anything but an answer to this very ping does not count.
    func ping(until limit: UInt64) async -> PingAnswer {
        lastToken += 1
        let token = lastToken
        return await withCheckedContinuation { continuation in
            guard phase == .open || phase == .leaving else { return continuation.resume(returning: .ended) }
            pings[token] = continuation
            _ = table.clock.schedule(at: limit) { [self] in answered(token, .silent) }
            write(.ping(token: token, sent: table.clock.now))
        }
    }

    private func answered(_ token: UInt64, _ answer: PingAnswer) {
        pings.removeValue(forKey: token)?.resume(returning: answer)
    }

    private func watch() {
        // A ping behind a long call waits its turn: while the peer takes bytes off the queue, it lives.
        let taken = written - stream.queuedBytes
        if stream.queuedBytes > 0, taken > takenBefore { meter.heard(at: table.clock.now) }
        takenBefore = taken
        switch meter.check(at: table.clock.now) {
        case .wait(let instant): watchAgain(at: instant, leeway)
        case .ping(let instant):
            write(.ping(token: (meter.pingsAgain ? PingToken.again : .first).rawValue, sent: table.clock.now))
            watchAgain(at: instant)
        case .silent:
            owner?.connectionFellSilent(self)
            end("\(peer) does not answer")
        }
    }

    /// The peer has answered: nobody need wake up to find that out.
    private func watchAnew() {
        if let timer { table.clock.cancel(timer) }
        watch()
    }

    private func watchAgain(at instant: UInt64, _ leeway: UInt64 = 0) {
        timer = table.clock.schedule(from: instant, to: instant &+ leeway) { [self] in watch() }
    }

    /// The peer has pinged this server over its own connection: one ping serves both, unless somebody waits here for
    /// an answer.
    func peerPinged(_ token: PingToken) {
        guard phase == .open else { return }
        let isNews =
            switch token {
            case .first: calls.isEmpty && meter.heardElsewhere(at: table.clock.now)
            case .again: meter.wasMissed()
            }
        if isNews { watchAnew() }
    }

    // MARK: frames

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        meter.heard(at: table.clock.now)
        // Frames are applied while the reader runs, so it must not be in its property.
        var reader = self.reader
        self.reader = FrameReader(maxFrameBytes: 0)
        let limit = table.options.maxFrameBytes
        do throws(WireError) {
            try reader.decode(copy bytes) { frame, maxFrameBytes in
                receive(frame)
                if phase != .shaking { maxFrameBytes = limit }
                return phase != .ended && newCipher == nil
            }
        } catch {
            violated("\(error)")
        }
        if let cipher = newCipher { reader.seal(with: cipher) }
        newCipher = nil
        if phase != .ended { self.reader = reader }
    }

    private func receive(_ frame: RPCFrame) {
        if phase == .shaking { return take(handshake.receive(frame)) }
        switch frame {
        case .reply(let id, let payload): settle(id, .success(payload))
        case .replyChunk(let id, let last, let piece): gather(id, last, piece)
        case .failure(let id, let kind, let code, let message): failed(id, kind, code, message)
        case .pong(let token, let instance):
            answered(token, .answered(InstanceID(instance)))
            if PingToken(rawValue: token) != nil { watchAnew() }
        // Every cancellation written so far arrives before this answer.
        case .ping(let token, _): write(.pong(token: token, instance: table.context.own.instance.rawValue))
        case .goAway(let lastID): wentAway(lastID)
        default: violated("a callee does not send this frame")
        }
    }

    func streamDidDrain(_ stream: any ByteStream) {}

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        table.outbound[serial] = nil
        end("the connection to \(peer) was lost")
        table.settled()
    }

    @discardableResult
    private func write(_ frame: RPCFrame) -> Bool {
        guard let size = table.write(frame, to: stream, &writer) else { return false }
        written += size
        return true
    }

    // MARK: the end

    private func wentAway(_ lastID: UInt32) {
        for id in calls.keys.filter({ $0 > lastID }).sorted() {
            calls.removeValue(forKey: id)?.fail(.notSent("\(peer) is stopping"))
        }
        leave()
        table.settled()
    }

    /// Takes no further calls; closes after the last answer.
    func leave() {
        guard phase == .open else { return }
        phase = .leaving
        owner?.connectionIsLeaving(self)
        if calls.isEmpty { close() }
    }

    /// Closes in order: what was written still leaves.
    func close() {
        guard phase != .ended else { return }
        end("the connection to \(peer) was closed", inOrder: true)
    }

    private func violated(_ reason: String) {
        guard phase != .ended else { return }
        table.noteViolation(by: peer.rawValue, reason)
        end("\(peer) broke the protocol: \(reason)")
    }

    /// Fails what is under way, in call order.
    private func end(_ reason: String, inOrder: Bool = false) {
        guard phase != .ended else { return }
        phase = .ended
        // Its keys are forgotten with the connection.
        reader = FrameReader(maxFrameBytes: 0)
        writer.seal(with: nil)
        shook(.failure(.unreachable(reason)))
        if let timer { table.clock.cancel(timer) }
        sweep.stop()
        let lost = calls.sorted { $0.key < $1.key }
        calls = [:]
        for (_, call) in lost { call.fail(.maybeExecuted(reason)) }
        for token in pings.keys.sorted() { answered(token, .ended) }
        if inOrder { stream.closeAfterFlush(within: ConnectionTable.closeTimeout) } else { stream.close() }
        owner?.connectionDidEnd(self)
        owner = nil
        table.settled()
    }
}
