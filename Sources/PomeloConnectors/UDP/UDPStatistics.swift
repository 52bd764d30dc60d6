// SPDX-License-Identifier: MIT
public import PomeloLoop

/// What has become of datagrams since their connector started.
public struct UDPStatistics: Sendable, Equatable {
    /// Datagrams that arrived whole.
    public internal(set) var received = 0
    /// Datagrams that held no whole packages, or too long ones, or one that only servers send.
    public internal(set) var malformed = 0
    /// Datagrams of peers that are no clients, and begin no handshake.
    public internal(set) var strays = 0
    /// Times that a handshake was not answered yet, because its answer is longer than what the peer had sent.
    public internal(set) var withheld = 0
    /// Acknowledgements without the proof that was asked for.
    public internal(set) var unproved = 0
    /// Clients that began anew at the address and port they had.
    public internal(set) var renewed = 0
    /// Packages not sent because they are longer than a datagram may be.
    public internal(set) var tooLong = 0
    /// Datagrams of clients that said more than they had turns for.
    public internal(set) var overflowed = 0
    /// What clients have sent that waits for their turns, in bytes.
    public internal(set) var heldBytes = 0
    /// What the socket has lost.
    public internal(set) var losses = DatagramLosses()

    /// Nothing seen.
    public init() {}
}
