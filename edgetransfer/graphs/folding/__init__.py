"""What a graph computes from constants alone, computed before any picture is there."""
