// SPDX-License-Identifier: MIT
public import PomeloLoop
import PomeloUV

/// A TCP proxy on 127.0.0.1 that lets time pass: between a server and its clients, on the loop of this process.
///
/// Bytes arrive in order, each `delay` after they were read; what a client is too slow to read is bounded by TCP.
@Loop public final class DelayingProxy {
    /// One way; a change counts for bytes read from then on, and none overtakes another.
    public var delay = Duration.zero
    /// Where clients connect to.
    public var port: Int { listener?.localAddress.port ?? 0 }
    /// Connections that are open now.
    public var connections: Int { pairs.count }

    private let target: SocketAddress
    private var listener: (any StreamListener)?
    private var pairs: [ObjectIdentifier: ProxiedPair] = [:]

    private init(_ target: SocketAddress) { self.target = target }

    /// Listens on a port that is free, for connections to `target`, which is dialled once for each.
    ///
    /// - Throws: `NetworkError`.
    public static func start(to target: SocketAddress, delay: Duration = .zero) async throws(NetworkError)
        -> DelayingProxy
    {
        let proxy = DelayingProxy(target)
        proxy.delay = delay
        proxy.listener = try await UVNetwork().listen(on: SocketAddress(host: "127.0.0.1", port: 0)) {
            [weak proxy] client in
            guard let proxy else { return client.close() }
            Loop.spawn { await proxy.join(client) }
        }
        return proxy
    }

    /// Ends all connections and frees the port.
    public func stop() {
        listener?.close()
        listener = nil
        cutAll()
    }

    /// Ends all connections; new ones are accepted.
    public func cutAll() {
        for pair in pairs.values { pair.close() }
    }

    private func join(_ client: any ByteStream) async {
        do throws(NetworkError) {
            let server = try await UVNetwork().connect(to: target, within: .seconds(5))
            guard listener != nil else {
                client.close()
                return server.close()
            }
            let pair = ProxiedPair(client, server, self)
            pairs[ObjectIdentifier(pair)] = pair
            pair.begin()
        } catch {
            client.close()
        }
    }

    fileprivate func ended(_ pair: ProxiedPair) { pairs[ObjectIdentifier(pair)] = nil }
}

/// The two ends of one connection, and what is on its way between them.
@Loop private final class ProxiedPair: ByteStreamDelegate {
    /// Bytes on their way in one direction before its reader waits.
    private static let limit = 1 << 20

    private let client: any ByteStream
    private let server: any ByteStream
    /// Gone when a test has ended before its connections.
    private weak var proxy: DelayingProxy?
    private var inFlight: [ObjectIdentifier: Int] = [:]
    /// When the last of each direction is due: what comes later is not due before.
    private var due: [ObjectIdentifier: UInt64] = [:]
    private var isOpen = true

    init(_ client: any ByteStream, _ server: any ByteStream, _ proxy: DelayingProxy) {
        self.client = client
        self.server = server
        self.proxy = proxy
    }

    func begin() {
        client.delegate = self
        server.delegate = self
    }

    func close() {
        guard isOpen else { return }
        isOpen = false
        client.close()
        server.close()
        proxy?.ended(self)
    }

    private func other(_ stream: any ByteStream) -> any ByteStream { stream === client ? server : client }

    private func later(_ stream: any ByteStream, _ action: @escaping @Loop () -> Void) {
        guard let proxy else { return close() }
        let key = ObjectIdentifier(stream)
        let deadline = max(due[key] ?? 0, SystemClock.shared.deadline(after: proxy.delay))
        due[key] = deadline
        _ = SystemClock.shared.schedule(at: deadline) { [self] in
            if isOpen { action() }
        }
    }

    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>) {
        var copy: [UInt8] = []
        copy.reserveCapacity(bytes.count)
        for index in bytes.indices { copy.append(bytes[index]) }
        let key = ObjectIdentifier(stream)
        inFlight[key, default: 0] += copy.count
        if inFlight[key, default: 0] > Self.limit { stream.pauseReading() }
        later(stream) { [copy] in
            self.other(stream).write(copy)
            self.inFlight[key, default: 0] -= copy.count
            if self.inFlight[key, default: 0] <= Self.limit { stream.resumeReading() }
        }
    }

    func streamDidDrain(_ stream: any ByteStream) {}

    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd) {
        later(stream) { self.close() }
    }
}
