// SPDX-License-Identifier: MIT

/// What the clients of a custom connector have done since it started.
public struct CustomStatistics: Sendable, Equatable {
    /// Connections open now.
    public internal(set) var open = 0
    /// What clients have sent that waits to be decoded or served, in bytes, 64 of them for each message.
    public internal(set) var heldBytes = 0
    /// Connections that the connector has shown.
    public internal(set) var accepted = 0
    /// Connections that were not wanted, for their number or because the server stops.
    public internal(set) var refused = 0
    /// Connections of addresses on the server's blacklist.
    public internal(set) var blocked = 0
    /// Times that accepting was paused because as many were connected as may be.
    public internal(set) var acceptPauses = 0
    /// Messages that the codec did not take, or whose route is none.
    public internal(set) var undecoded = 0
    /// Messages at which the codec threw.
    public internal(set) var failedDecodes = 0
    /// Messages that the codec did not decode in time.
    public internal(set) var lateDecodes = 0
    /// Messages that the codec did not encode, or at which it threw; a push counts once.
    public internal(set) var failedEncodes = 0
    /// Messages that the codec did not encode in time; a push counts once.
    public internal(set) var lateEncodes = 0
    /// Pushes that slow readers were not sent, as `slowReaders` says.
    public internal(set) var droppedPushes = 0
    /// Clients disconnected because they did not read.
    public internal(set) var slowConsumers = 0
    /// Clients disconnected because too much of theirs waited to be decoded or served.
    public internal(set) var heldTooMuch = 0
    /// Messages that were too many in their time: requests that were answered so, and notifies that were dropped.
    public internal(set) var overRate = 0
    /// Clients disconnected because they went on saying too much.
    public internal(set) var saidTooMuch = 0
    /// Clients disconnected because too much to them waited for the codec.
    public internal(set) var unencodedTooMuch = 0

    /// Nothing seen.
    public init() {}
}
