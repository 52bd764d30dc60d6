// SPDX-License-Identifier: MIT
public import PomeloLoop

/// A server's side of TLS: what it shows to those who connect, which can be exchanged while they are connected.
@Loop public final class TLSServer {
    /// What it was made with.
    public let options: TLSServerOptions
    /// Certificates read since the start, the first one included.
    public private(set) var loads = 0

    /// Told of each connection that ends because of what its peer sent: no handshake, no certificate, broken records.
    package var onFailure: (@Loop (TLSStream, TLSError) -> Void)? {
        get { shares.onFailure }
        set { shares.onFailure = newValue }
    }

    private var context: TLSContext
    private let shares = HandshakeShares()
    private var stamp: FileStamp?
    private var timer: TimerID?
    private let clock: any LoopClock

    /// Reads the files; blocks the loop for as long as that takes.
    ///
    /// - Throws: naming the file that cannot be used; without the trait `TLS`, that.
    public init(_ options: TLSServerOptions, clock: any LoopClock) throws(TLSError) {
        self.options = options
        self.clock = clock
        stamp = FileStamp(options)
        context = try TLSContext(server: options)
        loads = 1
    }

    /// Encrypts what is said over an accepted stream; handshakes that come together share the turns of the loop.
    ///
    /// - Throws: when there is no memory.
    public func accept(_ stream: any ByteStream) throws(TLSError) -> TLSStream {
        TLSStream(stream, try TLSEngine(context, .server), shares)
    }

    /// Reads the files again, off the loop: who connects from then on is shown what they hold.
    ///
    /// - Throws: naming the file that cannot be used; what was used until then is used on.
    public func reload() async throws(TLSError) {
        let options = options
        let read: (stamp: FileStamp, context: Result<TLSContext, TLSError>)
        do {
            read = try await offLoop {
                (FileStamp(options), Result { () throws(TLSError) in try TLSContext(server: options) })
            }
        } catch {
            throw TLSError("the files of TLS cannot be read now: \(error)")
        }
        // Files that cannot be used are told of once, until they change again.
        stamp = read.stamp
        context = try read.context.get()
        loads += 1
    }

    /// Looks at the files from time to time, and tells what came of it: nil for new ones, or why they are not used.
    public func watch(_ told: @escaping @Loop @Sendable (TLSError?) -> Void) {
        guard options.reloadInterval > .zero else { return }
        timer = clock.schedule(after: options.reloadInterval) {
            Loop.spawn {
                await self.look(told)
                if self.timer != nil { self.watch(told) }
            }
        }
    }

    private func look(_ told: @Loop @Sendable (TLSError?) -> Void) async {
        let options = options
        do {
            guard try await offLoop({ FileStamp(options) }) != stamp else { return }
            try await reload()
            told(nil)
        } catch let error as TLSError {
            told(error)
        } catch {
            told(TLSError("the files of TLS cannot be read now: \(error)"))
        }
    }

    /// Looks no more.
    public func stop() {
        if let timer { clock.cancel(timer) }
        timer = nil
    }
}
