// SPDX-License-Identifier: MIT

extension JSONObject: Sequence {
    /// Keys and values, in the order they were set.
    public func makeIterator() -> Zip2Sequence<[String], [JSON]>.Iterator {
        zip(keys, values).makeIterator()
    }
}
