// SPDX-License-Identifier: MIT
#if Keel
    import NIOCore
    import NIOHTTP1
    import PomeloLibc
    import PomeloPlugins

    /// One connection of a caller: takes one request after the other, and each is answered before the next.
    ///
    /// It reads only what somebody wants, so that a body is held in the kernel and in the caller; what was read already
    /// waits here, at most one read of the socket, and when the caller goes away what the kernel still had.
    final class KeelConnection: ChannelInboundHandler, @unchecked Sendable {
        // SAFETY: touched on NIO's thread alone.
        typealias InboundIn = HTTPServerRequestPart
        typealias OutboundOut = HTTPServerResponsePart

        private enum Phase {
            /// For a request.
            case waiting
            /// One is in progress.
            case serving
            /// It was answered before all of it was read: the rest is dropped.
            case dropping
            case ended
        }

        private enum Answer { case none, begun, ended }

        private let share: ServerShare
        private var context: ChannelHandlerContext?
        private var phase = Phase.waiting
        private var parts = CircularBuffer<HTTPServerRequestPart>()
        private var isTaking = false
        private var timer: Scheduled<Void>?
        /// A part of a head has come.
        private var hasBegun = false

        // Of the request in progress.
        private var request: HTTPRequestHead?
        private(set) var exchange: Exchange?
        private var isRead = true
        private var expectsContinue = false
        private var bodyBytes = 0
        private var answer = Answer.none
        private var framing = AnswerHead.Framing.none
        /// Whether there may be another one after it.
        private var keepsAlive = true
        private var isQuiescing = false

        init(_ share: ServerShare) { self.share = share }

        private var options: KeelServerOptions { share.options }

        // MARK: what comes

        func channelActive(context: ChannelHandlerContext) {
            self.context = context
            share.opened(self)
            arm(options.idle) { $0.close() }
            context.read()
        }

        func channelInactive(context: ChannelHandlerContext) {
            phase = .ended
            timer?.cancel()
            parts.removeAll()
            let exchange = exchange
            self.exchange = nil
            exchange?.left()
            share.closed(self)
            self.context = nil
        }

        func bytesCame() {
            guard phase == .waiting, parts.isEmpty, !hasBegun else { return }
            hasBegun = true
            arm(options.reading) { $0.refuse(.slow) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard phase != .ended else { return }
            parts.append(unwrapInboundIn(data))
            take()
        }

        func channelReadComplete(context: ChannelHandlerContext) { take() }

        func channelWritabilityChanged(context: ChannelHandlerContext) {
            if context.channel.isWritable { exchange?.roomCame() }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            guard let error = error as? HTTPParserError else { return close() }
            // What follows cannot be read any more.
            let isBetween = phase == .waiting && parts.isEmpty
            keepsAlive = false
            if isBetween || phase == .serving && !hasAll { refuse(error == .headerOverflow ? .headers : .request) }
            if phase == .dropping { close() }
        }

        func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
            guard event is ChannelShouldQuiesceEvent else { return context.fireUserInboundEventTriggered(event) }
            isQuiescing = true
            keepsAlive = false
            if phase == .waiting { close() }
        }

        // MARK: taking

        /// Hands on what was read, as far as somebody wants it, and reads on if more is wanted.
        func take() {
            guard !isTaking else { return }
            isTaking = true
            while let part = parts.first, wants(part) {
                parts.removeFirst()
                handle(part)
            }
            isTaking = false
            if phase != .ended, parts.isEmpty, wantsMore { context?.read() }
        }

        private var wantsMore: Bool {
            switch phase {
            case .waiting: true
            case .serving: !isRead && exchange?.wantsBody ?? false
            case .dropping: true
            case .ended: false
            }
        }

        private func wants(_ part: HTTPServerRequestPart) -> Bool {
            if case .head = part { return phase == .waiting }
            return wantsMore
        }

        private func handle(_ part: HTTPServerRequestPart) {
            switch part {
            case .head(let head): accept(head)
            case .body(let bytes):
                bodyBytes += bytes.readableBytes
                if phase == .serving { return exchange?.received(bytes) ?? () }
                if bodyBytes > options.droppedBytes { close() }
            case .end:
                isRead = true
                if phase == .serving {
                    if answer != .ended { disarm() }
                    exchange?.receivedAll()
                } else {
                    settle()
                }
            }
        }

        private func accept(_ head: HTTPRequestHead) {
            phase = .serving
            request = head
            (isRead, hasBegun, answer, bodyBytes) = (false, false, .none, 0)
            // After an upgrade that nobody makes the decoder reads nothing more.
            keepsAlive = head.isKeepAlive && !isQuiescing && !head.headers.contains(name: "upgrade")
            expectsContinue = head.headers["expect"].contains { $0.lowercased() == "100-continue" }
            arm(options.reading) { if !$0.hasAll { $0.refuse(.slow) } }
            if let refusal = share.check.refusal(head) { return refuse(refusal) }
            guard share.enter() else { return refuse(.busy) }
            let exchange = Exchange(share, self, head, peer: context?.remoteAddress?.ipAddress)
            self.exchange = exchange
            exchange.begin()
        }

        // MARK: answering

        /// Whether more may be written at once.
        var hasRoom: Bool { context?.channel.isWritable ?? false }

        /// The caller sends the body when it is told that somebody wants it.
        func askForBody() {
            guard expectsContinue, answer == .none, bodyBytes == 0, !isRead, let context else { return }
            expectsContinue = false
            context.writeAndFlush(
                wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
        }

        /// Answers with all of an answer; with more than the caller has time for the connection ends.
        func send(_ response: PluginResponse) {
            guard answer == .none, phase == .serving else { return }
            beginAnswer(response.status, response.headers, length: response.body.count)
            if framing != .none, !response.body.isEmpty { send(ByteBuffer(bytes: response.body)) }
            endAnswer()
        }

        func beginAnswer(_ status: Int, _ headers: [PluginHeader], length: Int? = nil) {
            guard let request, let context else { return }
            answer = .begun
            if !restIsShort { keepsAlive = false }
            let head = AnswerHead(status, headers, length: length, to: request, keepsAlive: keepsAlive)
            framing = head.framing
            keepsAlive = head.keepsAlive
            context.write(wrapOutboundOut(.head(head.head)), promise: nil)
        }

        /// Whether all of the request in progress has come.
        private var hasAll: Bool {
            if isRead { return true }
            for case .end in parts { return true }
            return false
        }

        /// Whether the rest of the request will come, and may be dropped.
        private var restIsShort: Bool {
            if hasAll { return true }
            // Nobody knows whether what comes next is the body that was announced, or another request.
            if expectsContinue, bodyBytes == 0, parts.isEmpty { return false }
            guard let length = request?.headers.first(name: "content-length").flatMap({ Int($0) }) else { return false }
            return length <= options.droppedBytes
        }

        func send(_ bytes: ByteBuffer) {
            context?.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        }

        func flush() { context?.flush() }

        func endAnswer() {
            guard answer == .begun, let context else { return }
            answer = .ended
            arm(options.writing) { $0.cut() }
            let promise = context.eventLoop.makePromise(of: Void.self)
            promise.futureResult.whenSuccess { [weak self] in self?.answered() }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: promise)
        }

        private func answered() {
            guard phase == .serving else { return }
            let exchange = exchange
            self.exchange = nil
            exchange?.left()
            if isRead { return settle() }
            phase = .dropping
            if keepsAlive { arm(options.reading) { $0.close() } } else { letRead() }
            take()
        }

        /// A close before all was read would be a reset, which may take the answer away from the caller.
        private func letRead() {
            arm(options.lingering) { $0.close() }
            context?.close(mode: .output, promise: nil)
        }

        /// The request was read, and its answer was written.
        private func settle() {
            guard keepsAlive, !isQuiescing else { return close() }
            phase = .waiting
            request = nil
            arm(options.idle) { $0.close() }
            take()
        }

        /// Answers that something is wrong, if there is still time for that, and ends the connection.
        private func refuse(_ refusal: Refusal) {
            keepsAlive = false
            if phase == .waiting {
                // There is no whole head.
                phase = .serving
                request = HTTPRequestHead(version: .http1_1, method: .GET, uri: "/")
                (isRead, answer, bodyBytes, expectsContinue) = (false, .none, 0, false)
            }
            let exchange = exchange
            self.exchange = nil
            exchange?.left()
            if answer == .none { send(refusal.answer) } else if answer == .begun { cut() }
        }

        // MARK: ending

        /// Ends the connection in the middle of an answer, so that the caller sees that it is not whole.
        func cut() {
            if framing == .connection, answer == .begun, let channel = context?.channel as? any SocketOptionProvider {
                _ = channel.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            }
            close()
        }

        private func close() { context?.close(promise: nil) }

        private func arm(_ time: Duration, _ late: @escaping @Sendable (KeelConnection) -> Void) {
            timer?.cancel()
            timer = context?.eventLoop.scheduleTask(in: KeelThread.time(time)) { [weak self] in
                if let self { late(self) }
            }
        }

        private func disarm() {
            timer?.cancel()
            timer = nil
        }
    }
#endif
