// SPDX-License-Identifier: MIT

/// Why there is no TLS: a sentence that names the file, or what the peer did.
public struct TLSError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The sentence.
    public let description: String

    init(_ description: String) { self.description = description }

    /// What everything fails with where the trait `TLS` is not; nil where it is.
    package static var ofAbsence: TLSError? {
        #if TLS
            nil
        #else
            .absent
        #endif
    }

    static let absent = TLSError("this program was built without the trait TLS, which encrypted connections need")
}
