namespace Onggi.Client.Transport;

/// <summary>A transport as the stream that <see cref="System.Net.Security.SslStream"/> wants beneath it; asynchronous only.</summary>
internal sealed class TransportStream(ITransport transport) : Stream
{
    // The types of TLS records: change cipher spec, alert, handshake, application data.
    private const int FirstRecordType = 20;
    private const int LastRecordType = 23;

    private int _firstByte = -1;

    /// <summary>Whether anything has come from the other side.</summary>
    public bool HasHeard => _firstByte >= 0;

    /// <summary>Whether the first byte that came begins no TLS record: the other side does not speak TLS.</summary>
    public bool HeardOther => _firstByte is >= 0 and (< FirstRecordType or > LastRecordType);

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override bool CanSeek => false;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        // SslStream reads nothing first, so as to wait without a buffer. The read that follows waits as well, and a transport's 0 means the end.
        if (buffer.IsEmpty)
            return 0;
        var count = await transport.ReceiveAsync(buffer, cancellationToken).ConfigureAwait(Rt.Capture);
        if (count > 0 && _firstByte < 0)
            _firstByte = buffer.Span[0];
        return count;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
        transport.SendAsync(buffer, cancellationToken);

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task WriteAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        WriteAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override void Flush() { }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            transport.Abort();
        base.Dispose(disposing);
    }
}
