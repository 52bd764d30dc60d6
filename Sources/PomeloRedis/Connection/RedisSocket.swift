// SPDX-License-Identifier: MIT
import CHiredis
import PomeloLibc
import PomeloLoop
import PomeloTLS
import PomeloUV

/// How one socket ended.
struct SocketEnd: Sendable, Equatable {
    enum Cause: Sendable, Equatable {
        /// This side closed it.
        case closed
        /// The network, or the server going away.
        case network
        /// There was no TLS, or none that is believed.
        case encryption
        /// The bytes were not RESP, or answered nothing that was asked.
        case malformed
    }

    var cause: Cause
    var text: String
}

/// Receives what happens on a socket; calls come from within C and only change state.
@Loop protocol RedisSocketOwner: AnyObject {
    /// There may be whole replies, in the order of the commands; those not taken stay for the next time.
    func socketDidRead(_ replies: ReplyReader)
    /// The last call, exactly once.
    func socketDidEnd(_ end: SocketEnd)
}

/// One hiredis context on the loop; all that touches C memory of the client is in this file and in ReplyReader.
///
/// It drives hiredis' parser and buffers itself and does without its `async.h`, which aborts the process at a reply
/// nobody asked for, leaves the subscribed state with another subscription on its way, and frees contexts under
/// their owner.
@safe @Loop final class RedisSocket: Flushable {
    // Strong until the end, as the poll's reference to this: a weak one makes every reference to its object slower.
    private var owner: (any RedisSocketOwner)?
    // SAFETY: loop thread only; nil once freed.
    private nonisolated(unsafe) var context: UnsafeMutablePointer<redisContext>?
    private var poll: DescriptorPoll?
    private var wanted = DescriptorPoll.Readiness.readable
    private var dirty = false
    /// Queued since the last write.
    private var queued = 0
    /// So much leaves before the turn ends: the server has work meanwhile, and the call costs little beside it.
    private static let writeEarly = 8192
    private let maxReplyBytes: Int
    private let replies: ReplyReader
    /// Between the commands and the socket, where the connection is encrypted.
    private let sealed: SealedBytes?
    /// One for all sockets: what is read is copied on at once.
    private static let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 65_536, alignment: 64)

    /// Takes a connected socket over.
    ///
    /// The context is told nothing of how the connection was made; hiredis' own way knows one address only.
    init(
        _ connected: ConnectedSocket, maxReplyBytes: Int, tls: TLSEngine? = nil, owner: any RedisSocketOwner
    ) throws(NetworkError) {
        self.owner = owner
        self.maxReplyBytes = maxReplyBytes
        sealed = tls.map { SealedBytes($0) }
        guard let replies = ReplyReader(), let context = unsafe redisConnectFd(connected.descriptor) else {
            PomeloLibc.close(connected.descriptor)
            throw NetworkError(code: "ENOMEM", description: "no memory for a connection")
        }
        self.replies = replies
        // From 1.0 on it takes the descriptor of another for a blocking one.
        unsafe context.pointee.flags &= ~Int32(REDIS_BLOCK)
        // A Unix-domain socket has no other machine that could vanish, and refuses it.
        if connected.address.port != 0 { unsafe redisEnableKeepAlive(context) }
        do throws(NetworkError) {
            poll = try DescriptorPoll(descriptor: connected.descriptor) { [self] in isReady($0) }
        } catch {
            unsafe redisFree(context)
            throw error
        }
        unsafe self.context = context
        poll?.watch(wanted)
        // A handshake begins with what the client says.
        if sealed != nil { unsafe write(context) }
    }

    /// Whether it has not ended.
    var isOpen: Bool { unsafe context != nil }

    /// Queues commands of a known size together; they leave at the end of the turn with all others, or sooner when they
    /// are many.
    func send(_ commands: [RedisCommand], size: Int) {
        guard let context = unsafe context else { return }
        let status = unsafe RedisCommand.withEncoded(commands, size: size) { bytes in
            if let sealed { return unsafe sealed.add(bytes) }
            return unsafe redisAppendFormattedCommand(
                context, UnsafeRawPointer(bytes.baseAddress)?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        if status != REDIS_OK { return end(.network, unsafe Self.errorText(context)) }
        queued += size
        if queued >= Self.writeEarly, wanted == .readable { return unsafe write(context) }
        guard !dirty else { return }
        dirty = true
        EventLoop.shared.flushList.append(self)
    }

    /// Ends the connection at once; bytes not yet written are dropped.
    func close() { end(.closed, "closed") }

    func flushTurn() {
        dirty = false
        guard let context = unsafe context, queued > 0 || wanted != .readable else { return }
        unsafe write(context)
    }

    private func write(_ context: UnsafeMutablePointer<redisContext>) {
        queued = 0
        if let sealed { return unsafe write(sealed, to: context.pointee.fd) }
        var done: Int32 = 0
        guard unsafe redisBufferWrite(context, &done) == REDIS_OK else {
            return end(.network, unsafe Self.errorText(context))
        }
        wanted = done != 0 ? .readable : [.readable, .writable]
        poll?.watch(wanted)
    }

    private func write(_ sealed: SealedBytes, to descriptor: Int32) {
        if let failure = sealed.write(to: descriptor) { return end(failure.cause, failure.text) }
        wanted = sealed.isEmpty ? .readable : [.readable, .writable]
        poll?.watch(wanted)
    }

    private func isReady(_ ready: DescriptorPoll.Readiness) {
        if ready.contains(.readable) { read() }
        if ready.contains(.writable) { flushTurn() }
        // After an error the watch is over, but there may be replies before the error in the socket.
        poll?.watch(wanted)
    }

    private func read() {
        guard let context = unsafe context else { return }
        let count = unsafe PomeloLibc.read(context.pointee.fd, Self.input.baseAddress, Self.input.count)
        if count == 0 { return end(.network, "Server closed the connection") }
        if count < 0 {
            if [EAGAIN, EWOULDBLOCK, EINTR].contains(errno) { return }
            return end(.network, unsafe String(cString: strerror(errno)))
        }
        let bytes = unsafe UnsafeRawBufferPointer(rebasing: Self.input[..<count])
        if let sealed {
            let failure = unsafe sealed.take(bytes) { unsafe replies.feed($0) }
            // What the handshake wants said, or an alert.
            unsafe write(sealed, to: context.pointee.fd)
            guard isOpen else { return }
            // What was said before the end counts.
            if let failure {
                owner?.socketDidRead(replies)
                return end(failure.cause, failure.text)
            }
        } else {
            unsafe replies.feed(bytes)
        }
        // May end this socket.
        owner?.socketDidRead(replies)
        if replies.unfinished > maxReplyBytes { end(.malformed, "a reply of more than \(maxReplyBytes) bytes") }
    }

    private func end(_ cause: SocketEnd.Cause, _ text: String) {
        guard let context = unsafe context else { return }
        unsafe self.context = nil
        poll?.close()
        poll = nil
        unsafe redisFree(context)
        let last = owner
        owner = nil
        last?.socketDidEnd(SocketEnd(cause: cause, text: text))
    }

    private static func errorText(_ context: UnsafeMutablePointer<redisContext>) -> String {
        unsafe CText.fixed(&context.pointee.errstr)
    }
}
