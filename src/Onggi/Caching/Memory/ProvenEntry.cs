using System.Runtime.CompilerServices;
using Onggi.Keys;

namespace Onggi.Caching;

/// <summary>One value in memory: the JSON as Redis gave it, and the object itself once a caller has made it and its type is safe to share.</summary>
/// <remarks>Most hits read only its <see cref="HitSlot"/>.</remarks>
internal sealed class ProvenEntry
{
    /// <summary>The generation of what was taken out of memory: no proof is ever of this one.</summary>
    internal const long Removed = -1;

    /// <summary>The value as Redis gave it.</summary>
    public readonly byte[] Json;

    public readonly string WireName;

    /// <summary>Its family's rules and counts.</summary>
    public readonly CacheFamily Family;

    internal readonly uint Hash;

    // The neighbours in order of arrival, for the queue alone.
    internal ProvenEntry? Older;
    internal ProvenEntry? Newer;

    private readonly ProvenMemory _memory;
    private readonly KeyFamily _keyFamily;
    private readonly string _first;
    private readonly string? _second;
    private readonly string? _third;
    private object? _kind;
    private object? _value;
    private long _generation;
    private long _expires;
    private long _refreshAt;
    private int _isSharing;
    private int _isRefreshing;

    internal ProvenEntry(ProvenMemory memory, in EntryKey key, uint hash, string wireName, CacheFamily family, byte[] json)
    {
        (_keyFamily, _first, _second, _third) = (key.Family, key.First, key.Second, key.Third);
        (_memory, Hash, WireName, Family, Json) = (memory, hash, wireName, family, json);
    }

    /// <summary>What it takes; an estimate.</summary>
    public long Bytes { get; internal set; }

    public EntryKey Key => new(_keyFamily, _first, _second, _third);

    /// <summary>Where <see cref="EntryTable"/> has its <see cref="HitSlot"/>; 0 for nowhere.</summary>
    internal int Slot { get; set; }

    /// <summary>The connection it came over; <see cref="Removed"/> from the moment at which it is taken out of memory.</summary>
    public long Generation
    {
        get => Volatile.Read(ref _generation);
        internal set => Volatile.Write(ref _generation, value);
    }

    /// <summary>The millisecond, by the clock of memory, from which it is not served; 0 while it is only a ticket, which is never served.</summary>
    public long Expires => Volatile.Read(ref _expires);

    /// <summary>The millisecond from which a hit should start a refresh ahead of expiry; <see cref="long.MaxValue"/> for never.</summary>
    public long RefreshAt => Volatile.Read(ref _refreshAt);

    /// <summary>The last millisecond in which nothing but to serve it is to be done: before its end, and before the time to refresh it unless somebody does so already.</summary>
    internal long LastQuiet => Math.Min(Expires, Volatile.Read(ref _isRefreshing) != 0 ? long.MaxValue : RefreshAt) - 1;

    /// <summary>The <see cref="EntryKind{T}"/> of <see cref="Value"/>, which tells the type; <c>null</c> while there is no shared object.</summary>
    public object? Kind => Volatile.Read(ref _kind);

    /// <summary>The shared object; <c>null</c> also stands for JSON <c>null</c>. Read it after <see cref="Kind"/>.</summary>
    public object? Value => _value;

    /// <summary>The shared object, if there is one and it is of this type.</summary>
    /// <returns><c>false</c>: decode <see cref="Json"/>.</returns>
    public bool TryGetShared<T>(out T? value)
    {
        if (Kind is EntryKind<T>)
        {
            value = As<T>(_value);
            return true;
        }

        value = default;
        return false;
    }

    /// <summary>Offers the object that a caller made of the JSON, for all callers from now on. The first offer stays.</summary>
    /// <remarks>Only for types that are safe to share. Once, because kind and value are two fields that must fit each other for who reads without a lock.</remarks>
    /// <returns><c>false</c> when there is a shared object already.</returns>
    public bool TryShare<T>(T? value)
    {
        if (Interlocked.Exchange(ref _isSharing, 1) != 0)
            return false;
        _value = value;
        Volatile.Write(ref _kind, Family.KindOf<T>(_keyFamily));
        _memory.Shared(this);
        return true;
    }

    /// <summary>What is kept beside a kind of this type: a T or <c>null</c>, boxed where T is a value type.</summary>
    internal static T? As<T>(object? value) => typeof(T).IsValueType ? (T?)value : Unsafe.As<object?, T?>(ref value);

    /// <summary>Whether it is time to refresh it and this caller is the one to do so. <c>true</c> once per entry.</summary>
    internal bool TryTakeRefresh(long now)
    {
        if (now < RefreshAt || Interlocked.Exchange(ref _isRefreshing, 1) != 0)
            return false;
        _memory.RefreshTaken(this);
        return true;
    }

    /// <summary>Sets both times. A reader sees the old ones or the new ones of each, never a mixture that serves longer than either.</summary>
    internal void SetTimes(long expires, long refreshAt)
    {
        _refreshAt = refreshAt;
        Volatile.Write(ref _expires, expires);
    }

    internal bool IsFor(in EntryKey key) =>
        _first == key.First
        && _second == key.Second
        && _third == key.Third
        && (ReferenceEquals(_keyFamily, key.Family) || _keyFamily.Equals(key.Family));
}
