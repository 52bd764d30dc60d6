// SPDX-License-Identifier: MIT
public import PomeloJSON

/// What a question at an extension point came to.
public enum ExtensionVerdict: Sendable, Equatable {
    /// It may go on, with this data.
    case pass(JSON, tags: Set<ExtensionTag>)
    /// It ends, and nobody is told.
    case drop
    /// It ends, and whoever wanted it is told why; `ret` is less than 0.
    case refuse(String, ret: Int)

    /// What `ret` is when it is refused because nobody has answered.
    public static let unansweredRet = -503
    /// The most bytes of an implementer's words that whoever is refused is told.
    public static let messageLimit = 1024

    /// The tags of what may go on.
    public var tags: Set<ExtensionTag> {
        if case .pass(_, let tags) = self { tags } else { [] }
    }
}

/// What is to be known of something that may go on.
public enum ExtensionTag: String, Sendable, CaseIterable {
    /// Not everybody who was to judge it has, and the policy let it pass.
    case unmoderated
}

extension ExtensionAnswer {
    /// What it comes to when nobody else is asked; nil for a `ret` that has no meaning.
    func verdict(on data: JSON) -> ExtensionVerdict? {
        switch ret {
        case 0: .pass(self.data ?? data, tags: [])
        case 1: .drop
        case ..<0: .refuse(msg.cut(at: ExtensionVerdict.messageLimit), ret: ret)
        default: nil
        }
    }
}

extension String {
    /// The first so many bytes, or less: a character's scalars are parted, a scalar's bytes are not.
    func cut(at limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: limit)
        while end > utf8.startIndex, utf8[end] & 0xC0 == 0x80 { end = utf8.index(before: end) }
        return String(decoding: utf8[..<end], as: UTF8.self)
    }
}
