"""VisitWebpageTool."""
