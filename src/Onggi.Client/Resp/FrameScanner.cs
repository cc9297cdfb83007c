namespace Onggi.Client.Resp;

/// <summary>Finds the end of a frame. (API sketch, body follows.)</summary>
internal struct FrameScanner;
