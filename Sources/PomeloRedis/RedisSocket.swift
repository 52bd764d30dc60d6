// SPDX-License-Identifier: MIT
import CHiredis
import Glibc
import PomeloLoop
import PomeloUV

/// How one socket ended.
struct SocketEnd: Sendable, Equatable {
    enum Cause: Sendable, Equatable {
        /// This side closed it.
        case closed
        /// The network, or the server going away.
        case network
        /// The bytes were not RESP, or answered nothing that was asked.
        case malformed
    }

    var cause: Cause
    var text: String
}

/// Receives what happens on a socket; calls come from within C and only change state.
@Loop protocol RedisSocketOwner: AnyObject {
    func socketDidOpen()
    /// Replies come in the order of the commands.
    func socketDidReceive(_ reply: RedisReply)
    /// The last call, exactly once.
    func socketDidEnd(_ end: SocketEnd)
}

/// One hiredis context on the loop; all that touches C memory of the client is in this file.
///
/// It drives hiredis' parser and buffers itself and does without its `async.h`, which aborts the process at a reply
/// nobody asked for, leaves the subscribed state with another subscription on its way, and frees contexts under
/// their owner.
@safe @Loop final class RedisSocket: Flushable {
    private weak var owner: (any RedisSocketOwner)?
    // SAFETY: loop thread only; nil once freed.
    private nonisolated(unsafe) var context: UnsafeMutablePointer<redisContext>?
    private var poll: DescriptorPoll?
    private var connecting = true
    private var wanted = DescriptorPoll.Readiness.readable
    private var dirty = false
    /// Reused for every command.
    private var scratch: [UInt8] = []

    /// Begins to connect to a numeric address.
    init(_ address: SocketAddress, owner: any RedisSocketOwner) throws(NetworkError) {
        self.owner = owner
        guard let context = unsafe redisConnectNonBlock(address.host, Int32(address.port)) else {
            throw NetworkError(code: "ENOMEM", description: "no memory for a connection")
        }
        if unsafe context.pointee.err != 0 {
            let text = unsafe Self.errorText(context)
            unsafe redisFree(context)
            throw NetworkError(code: "ECONNREFUSED", description: text)
        }
        // A child process must not hold the connection open after this process has let go of it.
        let descriptor = unsafe context.pointee.fd
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        do throws(NetworkError) {
            poll = try DescriptorPoll(descriptor: descriptor) { [weak self] ready in self?.isReady(ready) }
        } catch {
            unsafe redisFree(context)
            throw error
        }
        unsafe self.context = context
        poll?.watch(.writable)
    }

    /// Whether it has not ended.
    var isOpen: Bool { unsafe context != nil }

    /// Queues a command; it leaves at the end of the turn, with all others of the turn.
    func send(_ command: RedisCommand) {
        guard let context = unsafe context else { return }
        scratch.removeAll(keepingCapacity: scratch.capacity <= 65_536)
        command.encode(into: &scratch)
        let status = unsafe scratch.withUnsafeBytes { bytes in
            unsafe redisAppendFormattedCommand(
                context, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
        }
        if status != REDIS_OK { return end(.network, unsafe Self.errorText(context)) }
        guard !dirty, !connecting else { return }
        dirty = true
        EventLoop.shared.flushList.append(self)
    }

    /// Ends the connection at once; bytes not yet written are dropped.
    func close() { end(.closed, "closed") }

    func flushTurn() {
        dirty = false
        guard let context = unsafe context else { return }
        var done: Int32 = 0
        guard unsafe redisBufferWrite(context, &done) == REDIS_OK else {
            return end(.network, unsafe Self.errorText(context))
        }
        wanted = done != 0 ? .readable : [.readable, .writable]
        poll?.watch(wanted)
    }

    private func isReady(_ ready: DescriptorPoll.Readiness) {
        if connecting { return connected() }
        if ready.contains(.readable) { read() }
        if ready.contains(.writable) { flushTurn() }
        // After an error the watch is over, but there may be replies before the error in the socket.
        poll?.watch(wanted)
    }

    private func connected() {
        guard let context = unsafe context else { return }
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        unsafe getsockopt(context.pointee.fd, SOL_SOCKET, SO_ERROR, &code, &size)
        if code == EINPROGRESS { return poll?.watch(.writable) ?? () }
        if code != 0 { return end(.network, unsafe String(cString: strerror(code))) }
        connecting = false
        unsafe redisEnableKeepAlive(context)
        owner?.socketDidOpen()
        flushTurn()
    }

    private func read() {
        guard let context = unsafe context else { return }
        guard unsafe redisBufferRead(context) == REDIS_OK else {
            return end(.network, unsafe Self.errorText(context))
        }
        while isOpen {
            var raw: UnsafeMutableRawPointer?
            guard unsafe redisGetReplyFromReader(context, &raw) == REDIS_OK else {
                return end(.malformed, unsafe Self.errorText(context))
            }
            guard let reply = unsafe raw else { return }
            let value = unsafe RedisReply(reply.assumingMemoryBound(to: redisReply.self))
            unsafe freeReplyObject(reply)
            // May end this socket.
            owner?.socketDidReceive(value)
        }
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
        unsafe withUnsafeBytes(of: &context.pointee.errstr) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}

extension RedisReply {
    /// The Swift value of a reply that is about to be freed.
    fileprivate init(_ raw: UnsafePointer<redisReply>) {
        let reply = unsafe raw.pointee
        switch unsafe reply.type {
        case REDIS_REPLY_STATUS:
            self = unsafe .status(Self.text(reply))
        case REDIS_REPLY_ERROR:
            self = unsafe .error(Self.text(reply))
        case REDIS_REPLY_STRING:
            self = unsafe .bulk(Array(UnsafeRawBufferPointer(start: reply.str, count: reply.len)))
        case REDIS_REPLY_INTEGER:
            self = unsafe .integer(reply.integer)
        case REDIS_REPLY_ARRAY:
            var elements: [RedisReply] = []
            unsafe elements.reserveCapacity(Int(reply.elements))
            for index in 0..<Int(unsafe reply.elements) {
                if let element = unsafe reply.element[index] { elements.append(unsafe RedisReply(element)) }
            }
            self = .array(elements)
        default:
            self = .null
        }
    }

    private static func text(_ reply: redisReply) -> String {
        unsafe String(decoding: UnsafeRawBufferPointer(start: reply.str, count: reply.len), as: UTF8.self)
    }
}
