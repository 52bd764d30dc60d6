// SPDX-License-Identifier: MIT

/// Why a stream ended.
public enum StreamEnd: Sendable, Equatable {
    /// This side closed it.
    case closed
    /// The peer sent its last byte.
    case peerClosed
    /// The system reported an error, by its name and text.
    case failed(String)
}

/// Why a listener or connection could not be had: an error's name (`EADDRINUSE`), and a sentence.
public struct NetworkError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The error's name, as libuv and the kernel spell it.
    public let code: String
    /// A sentence that names the address or program concerned.
    public let description: String
    /// The end of the sentence, for who names the address: `connection refused (ECONNREFUSED)`.
    public let reason: String

    /// An error with its name and sentence; without a reason, the sentence is it.
    public init(code: String, description: String, reason: String? = nil) {
        self.code = code
        self.description = description
        self.reason = reason ?? description
    }
}

/// Receives what happens on a stream; calls come on the loop, outside any other call into the stream.
@Loop public protocol ByteStreamDelegate: AnyObject {
    /// Bytes arrived; they are valid during the call only.
    func stream(_ stream: any ByteStream, didRead bytes: borrowing Span<UInt8>)
    /// Everything queued has been handed to the kernel.
    func streamDidDrain(_ stream: any ByteStream)
    /// The last call, exactly once; the stream has let go of its delegate.
    func stream(_ stream: any ByteStream, didEnd reason: StreamEnd)
}

/// An ordered, reliable stream of bytes: a TCP connection, or one in memory.
@Loop public protocol ByteStream: AnyObject {
    /// Held strongly until the end, and not after it; reading begins when it is set, and stops when it is nil.
    var delegate: (any ByteStreamDelegate)? { get set }
    /// The peer's end.
    var remoteAddress: SocketAddress { get }
    /// This side's end.
    var localAddress: SocketAddress { get }
    /// Bytes accepted by `write` and not yet by the kernel; the owner enforces its bound.
    var queuedBytes: Int { get }
    /// Whether the peer has closed its end already, also when that is still to be read; false where nobody can tell.
    var peerHasHungUp: Bool { get }
    /// Queues bytes; all writes of one turn leave together at its end.
    func write(_ bytes: [UInt8])
    /// Whether what is written leaves at once, or waits for what is not acknowledged yet, to leave with more of it;
    /// at once unless this says otherwise.
    func setNoDelay(_ isOn: Bool)
    /// Offers what is queued to the kernel before the end of the turn, to see whether the peer takes it; no callback.
    func flushEarly()
    /// Stops delivering bytes, also while some are being delivered; the peer feels it through TCP, and what is written
    /// leaves as ever.
    func pauseReading()
    /// Delivers bytes again after `pauseReading`.
    func resumeReading()
    /// Writes what is queued, within `deadline`, then closes; nothing is read any more.
    func closeAfterFlush(within deadline: Duration)
    /// Closes at once; queued bytes are dropped.
    func close()
}

extension ByteStream {
    /// False: nobody can tell.
    public var peerHasHungUp: Bool { false }
    /// Does nothing: there is no kernel that could wait.
    public func setNoDelay(_ isOn: Bool) {}
    /// Does nothing: what is queued leaves at the end of the turn.
    public func flushEarly() {}
}

/// Something that accepts connections until it is closed.
@Loop public protocol StreamListener: AnyObject {
    /// Where it listens, with the port that was found free for port 0.
    var localAddress: SocketAddress { get }
    /// How often no connection could be accepted, mostly for want of descriptors.
    var acceptErrors: Int { get }
    /// Told each time that happens; the listener tries again by itself, after a moment.
    var onAcceptError: (@Loop (NetworkError) -> Void)? { get set }
    /// Accepts nobody from now on: the kernel keeps some who connect waiting, and lets the others try again.
    func pauseAccepting()
    /// Accepts again; who waited comes first.
    func resumeAccepting()
    /// Frees the port; connections already accepted live on.
    func close()
}

/// Where streams come from: the kernel, or a network in memory.
@Loop public protocol Network: AnyObject {
    /// How many accepted connections there may be at once, so that something is left for the process itself; nil
    /// without a limit.
    var connectionLimit: Int? { get }

    /// Listens on a host name or address; port 0 takes a free one.
    ///
    /// - Throws: `NetworkError` naming the address, for instance `EADDRINUSE`.
    func listen(
        on address: SocketAddress, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener

    /// Connects to a host name or address.
    ///
    /// - Throws: `NetworkError`, with code `ETIMEDOUT` when `deadline` passes, name resolution included.
    func connect(to address: SocketAddress, within deadline: Duration) async throws(NetworkError)
        -> any ByteStream

    /// Listens on a Unix-domain socket: a file that only programs of this machine can connect to, and of those only
    /// whose users have the rights.
    ///
    /// A file that nobody listens on any more is replaced. Streams have the path as both their addresses.
    ///
    /// The permissions are the file's: 0o600 for this user alone.
    ///
    /// - Throws: `NetworkError` naming the path: `EADDRINUSE` when somebody listens on it, or it is no socket;
    ///   `ENAMETOOLONG` beyond about 100 bytes; `ENOTSUP` where there are none.
    func listen(
        atPath path: String, permissions: UInt16, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener

    /// Connects to a Unix-domain socket.
    ///
    /// - Throws: `NetworkError` naming the path: `ENOENT` or `ECONNREFUSED` when nobody listens on it.
    func connect(toPath path: String) async throws(NetworkError) -> any ByteStream

    /// Binds a socket for datagrams to a host name or address; port 0 takes a free one.
    ///
    /// Its ports have nothing to do with those of streams: both may have one of the same number.
    ///
    /// - Throws: `NetworkError` naming the address: `EADDRINUSE`; `ENOTSUP` where there are no datagrams.
    func bindDatagrams(
        on address: SocketAddress, _ options: DatagramOptions
    ) async throws(NetworkError) -> any DatagramSocket
}

extension Network {
    /// There are no Unix-domain sockets.
    public func listen(
        atPath path: String, permissions: UInt16, accept: @escaping @Loop (any ByteStream) -> Void
    ) async throws(NetworkError) -> any StreamListener {
        throw NetworkError(code: "ENOTSUP", description: "cannot listen on \(path): no Unix-domain sockets here")
    }
    /// There are no Unix-domain sockets.
    public func connect(toPath path: String) async throws(NetworkError) -> any ByteStream {
        throw NetworkError(code: "ENOTSUP", description: "cannot connect to \(path): no Unix-domain sockets here")
    }
    /// There are no datagrams.
    public func bindDatagrams(
        on address: SocketAddress, _ options: DatagramOptions
    ) async throws(NetworkError) -> any DatagramSocket {
        throw NetworkError(code: "ENOTSUP", description: "cannot bind \(address): no datagrams here")
    }

    /// No limit, as with every network in memory.
    public var connectionLimit: Int? { nil }
}
