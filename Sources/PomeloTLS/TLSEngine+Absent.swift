// SPDX-License-Identifier: MIT
#if !TLS
    package import PomeloLoop

    /// Nobody has one without the trait `TLS`.
    package final class TLSContext: Sendable {
        package init(server options: TLSServerOptions) throws(TLSError) { throw .absent }
        package init(client options: TLSClientOptions) throws(TLSError) { throw .absent }
    }

    /// Nobody has one without a context.
    @Loop package final class TLSEngine {
        package enum Side {
            case server
            case client(name: String?)
        }
        package static let recordBytes = 16_384
        package let isOpen = false
        package let peerHasEnded = false
        package let version = ""
        package let isResumed = false

        package init(_ context: TLSContext, _ side: Side) throws(TLSError) { throw .absent }
        let step = 0
        func letGo() {}
        func shakeHands(by bytes: borrowing Span<UInt8>) throws(TLSError) -> Int { throw .absent }
        package func begin() throws(TLSError) { throw .absent }
        package func take(
            _ bytes: borrowing Span<UInt8>, _ deliver: (borrowing Span<UInt8>) -> Bool
        ) throws(TLSError) -> Int { throw .absent }
        package func seal(_ bytes: [UInt8]) throws(TLSError) { throw .absent }
        package func end() {}
        package func takeOutput() -> [UInt8] { [] }
    }
#endif
