// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A client's side of TLS: whom it believes.
@Loop public final class TLSClient {
    private let options: TLSClientOptions
    private let context: TLSContext

    /// Reads the files; blocks the loop for as long as that takes.
    ///
    /// - Throws: naming the file that cannot be used; without the trait `TLS`, that.
    public init(_ options: TLSClientOptions) throws(TLSError) {
        self.options = options
        context = try TLSContext(client: options)
    }

    private init(_ options: TLSClientOptions, _ context: TLSContext) {
        self.options = options
        self.context = context
    }

    /// Reads the files off the loop.
    ///
    /// - Throws: as `init`.
    package static func load(_ options: TLSClientOptions) async throws(TLSError) -> TLSClient {
        let read: Result<TLSContext, TLSError>
        do {
            read = try await offLoop { Result { () throws(TLSError) in try TLSContext(client: options) } }
        } catch {
            throw TLSError("the files of TLS cannot be read now: \(error)")
        }
        return TLSClient(options, try read.get())
    }

    /// A connection to a server of that name, without a socket; its handshake has begun.
    ///
    /// - Throws: for a name that no server can have.
    package func engine(to host: String) throws(TLSError) -> TLSEngine {
        let name = options.verifiesServer || options.serverName != nil ? options.serverName ?? host : nil
        let engine = try TLSEngine(context, .client(name: name))
        try engine.begin()
        return engine
    }

    /// Encrypts what is said over a stream to the server; what is written waits for the handshake.
    ///
    /// `onOpen` is told once the server has proved who it is.
    ///
    /// - Throws: for a name that no server can have.
    public func connect(
        _ stream: any ByteStream, to host: String, onOpen: (@Loop () -> Void)? = nil
    ) throws(TLSError) -> TLSStream {
        let engine = try engine(to: host)
        let secured = TLSStream(stream, engine)
        secured.onOpen = onOpen
        stream.write(engine.takeOutput())
        return secured
    }
}
