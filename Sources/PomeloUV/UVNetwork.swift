// SPDX-License-Identifier: MIT
public import PomeloLoop

/// The kernel's TCP and UDP, and its Unix-domain sockets.
@Loop public final class UVNetwork: Network {
    /// Answers for the names given to `listen` and `connect`.
    public let resolver = Resolver()

    /// A network with a resolver of its own.
    public init() {}

    /// What the process may open, less the reserve that `Descriptors` keeps.
    public var connectionLimit: Int? { Descriptors.connectionLimit }

    /// Resolves the name, binds and listens.
    ///
    /// - Throws: `NetworkError` naming the host or address; `ENOSYS` under the manual driver.
    public func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        let numeric = try await resolver.resolve(address)
        return try TCPListener(driver: requireDriver(), numeric, accept: accept)
    }

    /// Resolves the name and connects, all within the deadline; see `Dial` for a name that has several addresses.
    ///
    /// A cancelled task connects to nothing.
    ///
    /// - Throws: `NetworkError` naming the host or address: `ETIMEDOUT` at the deadline, `ECANCELED` when the task was
    ///   cancelled, `ENOSYS` under the manual driver.
    public func connect(
        to address: SocketAddress, within deadline: Duration
    ) async throws(NetworkError) -> any ByteStream {
        let driver = try requireDriver()
        let dial = Dial(resolver, to: address)
        let outcome: Result<ConnectedSocket, NetworkError> = await withTaskCancellationHandler {
            do throws(NetworkError) {
                return .success(try await dial.run(within: deadline))
            } catch {
                return .failure(error)
            }
        } onCancel: {
            Loop.spawn { dial.cancel() }
        }
        let socket = try outcome.get()
        resolver.note(address.host, socket.address.host, isGood: true)
        return try TCPStream(driver: driver, socket)
    }

    /// Binds and listens at a path, whose file is removed when the listener closes.
    ///
    /// - Throws: `NetworkError` naming the path; `ENOSYS` under the manual driver.
    public func listen(
        atPath path: String, permissions: UInt16, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        try UnixSocket.listen(driver: requireDriver(), path, permissions, accept: accept)
    }

    /// Connects to a path, at once or not at all.
    ///
    /// - Throws: `NetworkError` naming the path; `ENOSYS` under the manual driver.
    public func connect(toPath path: String) async throws(NetworkError) -> any ByteStream {
        try UnixSocket.connect(driver: requireDriver(), path)
    }

    /// Resolves the name and binds a socket of UDP.
    ///
    /// - Throws: `NetworkError` naming the host or address; `ENOSYS` under the manual driver.
    public func bindDatagrams(
        on address: SocketAddress, _ options: DatagramOptions
    ) async throws(NetworkError) -> any DatagramSocket {
        let numeric = try await resolver.resolve(address)
        return try UDPSocket(driver: requireDriver(), numeric, options)
    }
}
