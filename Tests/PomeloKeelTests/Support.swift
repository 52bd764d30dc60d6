// SPDX-License-Identifier: MIT
#if Keel
    import NIOCore
    import NIOPosix
    import PomeloBytes
    import PomeloKeel
    import PomeloLibc
    import PomeloLoop
    import PomeloPlugins
    import PomeloTesting
    import Synchronization
    import TestHelpers

    /// One end of a connection that says what a test tells it to, byte by byte, on a thread of its own.
    final class Wire: Sendable {
        static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

        private struct State {
            var bytes: Bytes = []
            var isClosed = false
            var isReset = false
            var poured = 0
        }

        private let channel: any Channel
        private let state = Mutex(State())

        fileprivate init(_ channel: any Channel, _ told: @escaping @Sendable (Wire) -> Void) throws {
            self.channel = channel
            try channel.pipeline.syncOperations.addHandler(Ear(self, told))
        }

        /// One that `stays` does so also when the other side says that it says no more.
        static func connect(_ port: Int, stays: Bool = false) async throws -> Wire {
            let made = Mutex<Wire?>(nil)
            let bootstrap = ClientBootstrap(group: group).channelOption(.allowRemoteHalfClosure, value: stays)
            _ = try await bootstrap.channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let wire = try Wire(channel) { _ in }
                    made.withLock { $0 = wire }
                }
            }.connect(host: "127.0.0.1", port: port).get()
            guard let wire = made.withLock({ $0 }) else { throw Unmet(description: "no wire") }
            return wire
        }

        var bytes: Bytes { state.withLock { $0.bytes } }
        var text: String { String(decoding: bytes, as: UTF8.self) }
        var count: Int { state.withLock { $0.bytes.count } }
        var isClosed: Bool { state.withLock { $0.isClosed } }
        var isReset: Bool { state.withLock { $0.isReset } }

        func send(_ text: String) { send(Bytes(text.utf8)) }
        func send(_ bytes: Bytes) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }
        func close() { channel.close(promise: nil) }

        /// Nothing more comes, but it still listens.
        func closeOutput() { channel.close(mode: .output, promise: nil) }

        func reset() {
            channel.eventLoop.execute {
                if let socket = self.channel as? any SocketOptionProvider {
                    _ = socket.setSoLinger(linger(l_onoff: 1, l_linger: 0))
                }
                self.channel.close(promise: nil)
            }
        }

        /// Leaves what comes in the kernel.
        func stopReading() { _ = channel.setOption(.autoRead, value: false) }

        /// Sends on and on, as fast as it is taken.
        func pour(_ bytes: Bytes) {
            channel.writeAndFlush(ByteBuffer(bytes: bytes)).whenSuccess {
                self.state.withLock { $0.poured += bytes.count }
                // The others of its thread have their turn.
                self.channel.eventLoop.execute { self.pour(bytes) }
            }
        }

        /// How many bytes of what is poured were taken.
        var poured: Int { state.withLock { $0.poured } }

        fileprivate func heard(_ buffer: ByteBuffer) {
            state.withLock { $0.bytes += Bytes(buffer.readableBytesView) }
        }
        fileprivate func ended() { state.withLock { $0.isClosed = true } }
        fileprivate func failed() { state.withLock { $0.isReset = true } }
    }

    private final class Ear: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let wire: Wire
        private let told: @Sendable (Wire) -> Void

        init(_ wire: Wire, _ told: @escaping @Sendable (Wire) -> Void) {
            self.wire = wire
            self.told = told
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            wire.heard(unwrapInboundIn(data))
            told(wire)
        }

        func channelInactive(context: ChannelHandlerContext) { wire.ended() }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            wire.failed()
            context.close(promise: nil)
        }
    }

    /// A peer that answers as a test tells it to.
    final class Peer: Sendable {
        let port: Int
        private let channel: any Channel
        private let made: Made

        private final class Made: Sendable {
            let wires = Mutex<[Wire]>([])
        }

        /// Calls `told` whenever bytes have come.
        init(port: Int = 0, _ told: @escaping @Sendable (Wire) -> Void) async throws {
            let made = Made()
            channel = try await ServerBootstrap(group: Wire.group)
                .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
                .childChannelInitializer { channel in
                    channel.eventLoop.makeCompletedFuture {
                        let wire = try Wire(channel, told)
                        made.wires.withLock { $0.append(wire) }
                    }
                }.bind(host: "127.0.0.1", port: port).get()
            self.made = made
            self.port = channel.localAddress?.port ?? 0
        }

        /// One that says the same to each head that has come.
        convenience init(_ answer: String, port: Int = 0, thenCloses: Bool = false) async throws {
            try await self.init(port: port) { wire in
                guard wire.text.hasSuffix("\r\n\r\n") else { return }
                wire.send(answer)
                if thenCloses { wire.close() }
            }
        }

        var wires: [Wire] { made.wires.withLock { $0 } }
        var base: String { "http://127.0.0.1:\(port)" }

        func stop() async throws { try await channel.close().get() }
    }

    /// A port that is taken, and where nobody listens.
    final class SilentPort: Sendable {
        let number: Int
        private let descriptor: CInt

        @Loop init() async throws {
            number = try await TestPorts.next()
            descriptor = socket(AF_INET, CInt(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            address.sin_port = in_port_t(number).bigEndian
            let status = unsafe withUnsafeMutablePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                    unsafe bind(descriptor, pointer, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            guard status == 0 else { throw Unmet(description: "no port") }
        }

        var base: String { "http://127.0.0.1:\(number)" }

        /// It may be taken by others.
        func release() { _ = PomeloLibc.close(descriptor) }
    }

    /// A desk that decides as a test tells it to.
    @Loop final class TestDesk: KeelDesk {
        var heads: [PluginHead] = []
        let outcomes = Journal<PluginOutcome>()
        private let decision: @Loop (TestDesk, PluginHead) async -> PluginDecision

        init(_ decision: @escaping @Loop (TestDesk, PluginHead) async -> PluginDecision) { self.decision = decision }

        func decide(_ head: PluginHead) async -> PluginDecision {
            heads.append(head)
            return await decision(self, head)
        }

        func failure(_ outcome: PluginOutcome) -> PluginResponse {
            let status =
                switch outcome {
                case .requestTooLarge: 413
                case .timedOut: 504
                default: 502
                }
            return PluginResponse(status, headers: [PluginHeader("X-Failed", "yes")], body: Bytes("failed".utf8))
        }

        /// A request as it came, to a peer.
        func forward(
            _ head: PluginHead, to base: String, deadline: Duration = .seconds(20), requestLimit: Int = 4 << 20,
            responseLimit: Int = 4 << 20, attempts: Int = 1
        ) -> PluginDecision {
            .forward(
                PluginForward(
                    base: base, method: head.method, path: head.path, headers: head.headers, deadline: deadline,
                    requestLimit: requestLimit, responseLimit: responseLimit, attempts: attempts
                ) { self.outcomes.note($0) })
        }
    }

    /// A server with its desk.
    @Loop final class TestHost {
        let desk: TestDesk
        let caller = KeelCaller()
        let server: KeelServer
        private(set) var port = 0

        init(
            _ options: KeelServerOptions = KeelServerOptions(),
            _ decision: @escaping @Loop (TestDesk, PluginHead) async -> PluginDecision
        ) {
            desk = TestDesk(decision)
            server = KeelServer(desk, caller: caller, options: options)
        }

        var base: String { "http://127.0.0.1:\(port)" }

        func call(
            _ method: String, _ path: String, headers: [PluginHeader] = [], body: Bytes = [],
            within deadline: Duration = .seconds(20)
        ) async throws -> PluginResponse {
            try await caller.call(
                base, PluginRequest(method, path, headers: headers, body: body), within: deadline, limit: 8 << 20)
        }

        func run<Value>(_ body: @Loop (TestHost) async throws -> Value) async throws -> Value {
            port = try await server.start()
            let result: Result<Value, any Error>
            do { result = .success(try await body(self)) } catch { result = .failure(error) }
            await server.stop(within: .seconds(1))
            await caller.stop()
            return try result.get()
        }
    }

    extension PluginResponse {
        var text: String { String(decoding: body, as: UTF8.self) }
    }

    /// What is different everywhere, so that a part in the wrong place is seen.
    func pattern(_ count: Int) -> Bytes {
        var bytes = Bytes(repeating: 0, count: count)
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for index in bytes.indices {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes[index] = UInt8(truncatingIfNeeded: state >> 56)
        }
        return bytes
    }
#endif
