// SPDX-License-Identifier: MIT
#if Keel
    import AsyncHTTPClient
    import NIOCore
    import NIOHTTP1
    import PomeloBytes
    import PomeloLoop
    import PomeloPlugins

    /// A request from its head to the end of its answer: asks the desk, and does what it decided.
    final class Exchange: @unchecked Sendable {
        // SAFETY: touched on NIO's thread alone.
        enum Stage {
            /// The desk decides, or says how it failed.
            case asking
            /// The body is read for a piece of work.
            case reading(limit: Int, @Loop @Sendable (PluginRequest) async -> PluginResponse)
            case working
            case forwarding(Forwarding)
            /// An answer is on its way, or nobody wants one.
            case done
        }

        let share: ServerShare
        let request: HTTPRequestHead
        private let head: PluginHead
        /// Nil when the caller has gone away, or has its answer.
        private(set) weak var connection: KeelConnection?
        private(set) var stage = Stage.asking
        private var isCounted = true
        private var body = ByteBuffer()
        private var timer: Scheduled<Void>?
        private var work: Task<Void, Never>?

        init(_ share: ServerShare, _ connection: KeelConnection, _ request: HTTPRequestHead, peer: String?) {
            self.share = share
            self.connection = connection
            self.request = request
            let isChunked = request.headers.contains(name: "transfer-encoding")
            head = PluginHead(
                request.method.rawValue, RequestTarget.path(of: request.uri) ?? "/",
                headers: request.headers.plugin, peer: peer,
                bodyLength: isChunked ? nil : request.headers.first(name: "content-length").map { Int($0) ?? .max } ?? 0
            )
        }

        var bodyLength: Int? { head.bodyLength }

        /// Whether the next part of the body may come.
        var wantsBody: Bool {
            switch stage {
            case .reading: true
            case .forwarding(let forwarding): forwarding.wantsBody
            case .asking, .working, .done: false
            }
        }

        // MARK: the decision

        func begin() {
            guard let desk = share.desk else { return answer(Refusal.busy.answer) }
            let head = head
            Loop.spawn {
                let decision = await desk.decide(head)
                KeelThread.run { self.decided(decision) }
            }
        }

        private func decided(_ decision: PluginDecision) {
            guard connection != nil else { return drop(decision) }
            switch decision {
            case .answer(let response): answer(response)
            case .work(let limit, let time, let work): read(limit, time, work)
            case .forward(let forward):
                let forwarding = Forwarding(forward, self)
                stage = .forwarding(forwarding)
                forwarding.begin()
            }
        }

        /// The caller did not wait for it.
        private func drop(_ decision: PluginDecision) {
            stage = .done
            if case .forward(let forward) = decision { KeelThread.onLoop { forward.finished(.abandoned) } }
            leave()
        }

        func answer(_ response: PluginResponse) {
            stage = .done
            timer?.cancel()
            guard let connection else { return leave() }
            connection.send(response)
        }

        /// Answers with what is said to a failure, by who forwarded it or the desk; of the answer nothing was sent yet.
        func fail(_ outcome: PluginOutcome, of forward: PluginForward? = nil) {
            stage = .asking
            timer?.cancel()
            let desk = share.desk
            KeelThread.onLoop {
                forward?.finished(outcome)
                let response = forward?.failure?(outcome) ?? desk?.failure(outcome) ?? Refusal.busy.answer
                KeelThread.run { self.answer(response) }
            }
        }

        /// A part of the answer was sent: it ends here.
        func cut() {
            stage = .done
            connection?.cut()
        }

        func finish() {
            stage = .done
            connection?.endAnswer()
        }

        // MARK: work

        private func read(
            _ limit: Int, _ time: Duration, _ work: @escaping @Loop @Sendable (PluginRequest) async -> PluginResponse
        ) {
            if let length = bodyLength, length > limit { return fail(.requestTooLarge) }
            timer = KeelThread.loop.scheduleTask(in: KeelThread.time(time)) { self.tooLate() }
            stage = .reading(limit: limit, work)
            connection?.askForBody()
            connection?.take()
        }

        private func tooLate() {
            work?.cancel()
            if connection != nil { fail(.timedOut) }
        }

        private func run(_ work: @escaping @Loop @Sendable (PluginRequest) async -> PluginResponse) {
            stage = .working
            let request = PluginRequest(
                head.method, head.path, headers: head.headers, body: Bytes(body.readableBytesView))
            self.work = Loop.spawn {
                let response = await work(request)
                KeelThread.run { self.worked(response) }
            }
        }

        private func worked(_ response: PluginResponse) {
            work = nil
            timer?.cancel()
            // Else the time was over before, and there is another answer.
            if case .working = stage { answer(response) }
            if connection == nil { leave() }
        }

        // MARK: what the connection tells

        func received(_ bytes: ByteBuffer) {
            switch stage {
            case .reading(let limit, _):
                guard bytes.readableBytes <= limit - body.readableBytes else { return fail(.requestTooLarge) }
                body.writeImmutableBuffer(bytes)
            case .forwarding(let forwarding): forwarding.received(bytes)
            case .asking, .working, .done: break
            }
        }

        func receivedAll() {
            switch stage {
            case .reading(_, let work): run(work)
            case .forwarding(let forwarding): forwarding.receivedAll()
            case .asking, .working, .done: break
            }
        }

        func roomCame() {
            if case .forwarding(let forwarding) = stage { forwarding.roomCame() }
        }

        /// The caller has its answer, or has gone away.
        func left() {
            connection = nil
            switch stage {
            case .forwarding(let forwarding):
                stage = .done
                forwarding.abandon()
                leave()
            case .reading, .done:
                stage = .done
                timer?.cancel()
                if work == nil { leave() }
            // It counts until it has ended; what it says then finds nobody.
            case .asking, .working: break
            }
        }

        /// It is no longer in progress.
        private func leave() {
            guard isCounted else { return }
            isCounted = false
            share.leave()
        }
    }
#endif
