namespace System
{
    /// <summary>What netstandard2.0 lacks for list patterns: a place counted from one end of a list.</summary>
    internal readonly struct Index(int value, bool fromEnd = false)
    {
        public int GetOffset(int length) => fromEnd ? length - value : value;
    }
}

namespace System.Runtime.CompilerServices
{
    /// <summary>What netstandard2.0 lacks for records.</summary>
    internal static class IsExternalInit;
}
