// SPDX-License-Identifier: MIT

extension RedisCommand {
    /// A command whose arguments are all text.
    public init(_ name: String, _ words: [String]) {
        self.init(name, arguments: words.map { .text($0) })
    }
}
